"""Settings: every value that a command can be given, from defaults, a preset, a file, the environment and flags."""
