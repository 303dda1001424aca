"""Training pairs from plain documents, and negatives for them."""
