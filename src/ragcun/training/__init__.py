"""Training of encoders from pairs and stored base embeddings, which can be interrupted at any time."""
