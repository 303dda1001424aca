"""Abstention: confidence scores that separate queries with an answer in the corpus from queries without one."""
