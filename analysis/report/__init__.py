"""A model on one page, several models side by side, and maps of a run in training."""
