"""Base embeddings of texts, each of which is computed once and stored."""
