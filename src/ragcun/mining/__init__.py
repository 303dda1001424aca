"""Training pairs made from documents without queries, and mining of negatives."""
