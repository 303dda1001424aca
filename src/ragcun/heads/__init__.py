"""Projection heads: maps R^b -> R^d on a base, without normalisation. `registry` lists them."""
