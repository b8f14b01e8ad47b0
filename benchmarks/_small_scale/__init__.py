"""Parts of ``benchmarks/small_scale.py``."""
