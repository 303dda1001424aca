"""Analysis of the geometry of embeddings: measures of isotropy, compared with N(0, I), and figures."""
