"""Whether a score tells queries that the corpus answers from those that it does not."""
