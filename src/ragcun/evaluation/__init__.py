"""Scores of runs, and the cells (retriever, collection) of a table."""
