"""Labelled data sets, one a file; :mod:`rspnet.data.datasets.labelled` loads them."""
