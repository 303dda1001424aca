"""The geometry of embeddings: measures of isotropy, each beside its value for N(0, I), and their figures."""
