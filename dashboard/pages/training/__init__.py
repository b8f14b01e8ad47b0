"""Training: a run while it goes on, and its maps as they grew."""
