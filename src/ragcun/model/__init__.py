"""The encoder: initialisation of the head, and saving of base and head together."""
