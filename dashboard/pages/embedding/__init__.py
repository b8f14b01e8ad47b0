"""Embedding: a gallery in two dimensions, by both heads."""
