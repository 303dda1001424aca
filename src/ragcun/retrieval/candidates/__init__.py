"""Candidates of a search: the best documents by float32 inner products, block by block, for each kind of device."""
