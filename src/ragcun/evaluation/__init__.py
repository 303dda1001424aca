"""Evaluation: scores of runs, saved results, and comparisons."""
