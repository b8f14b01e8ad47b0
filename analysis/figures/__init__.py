"""Pictures in one style. They draw results and compute none."""
