"""Heads: maps R^b -> R^d behind a base, with no normalisation behind them. `registry` says which there are."""
