"""Codecs that compress document vectors, which are searched with full-precision queries."""
