"""What makes videos of a gallery near: to a query (:mod:`.explain`), by one hit, a part, or a unit.

The formulas are in :mod:`analysis.attribution.retrieval.explain`.
"""
