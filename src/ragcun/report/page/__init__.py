"""One HTML file that shows results and lets a reader ask them questions; it needs no other file and no network."""
