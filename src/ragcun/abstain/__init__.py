"""Whether a score separates queries that the corpus answers from those that it does not."""
