"""What studies measure with: harness and controls, deletion, selectivity."""
