"""One kind of map a file; each registers itself (:mod:`analysis.attribution.registry`)."""
