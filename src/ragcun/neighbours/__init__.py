"""Comparison of approximate nearest-neighbour indexes with exact search."""
