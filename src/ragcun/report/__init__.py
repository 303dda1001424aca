"""LaTeX tables from result files; needs no model and no GPU."""
