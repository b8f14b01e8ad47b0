"""Measurements over many videos, a study a file: what the heads look at, with intervals."""
