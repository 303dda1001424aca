"""The head on top of the base: how it starts, and how the whole encoder is saved."""
