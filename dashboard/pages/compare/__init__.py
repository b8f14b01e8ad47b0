"""Compare: where both heads look, on a pair of clips."""
