"""Damaged and hostile files, and what comes of reading them."""
