"""Settings from defaults, a preset, a file, the environment and flags."""
