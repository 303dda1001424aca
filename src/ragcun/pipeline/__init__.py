"""Pipelines of several steps: `ragcun run` and `ragcun ablate`."""
