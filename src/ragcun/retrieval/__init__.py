"""Retrievers, which rank a corpus for queries, and their runs."""
