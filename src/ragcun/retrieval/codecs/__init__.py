"""Codecs: documents' vectors in few bytes, searched by full-precision queries."""
