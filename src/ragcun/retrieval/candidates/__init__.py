"""The documents that may be among a query's best: found block by block by inner products in float32, per device."""
