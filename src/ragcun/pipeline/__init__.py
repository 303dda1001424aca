"""The chain: every stage in one experiment folder."""
