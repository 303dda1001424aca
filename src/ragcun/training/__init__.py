"""Training: pairs and stored base embeddings in, an encoder out, interruptible at any moment."""
