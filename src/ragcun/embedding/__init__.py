"""From text to base embeddings, each computed once and kept."""
