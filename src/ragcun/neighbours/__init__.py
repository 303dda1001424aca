"""Whether approximate indexes find what a model's own exact search finds."""
