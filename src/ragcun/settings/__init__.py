"""The settings: their schema, and their sources (defaults, a preset, a file, the environment and flags)."""
