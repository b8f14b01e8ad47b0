"""Retrieval: what is nearest to a video by each head, and why."""
