"""Collections in BEIR's layout and training pairs, read from disk row by row."""
