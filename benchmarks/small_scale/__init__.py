"""What models learned, in one table: ``python -m benchmarks.small_scale``."""
