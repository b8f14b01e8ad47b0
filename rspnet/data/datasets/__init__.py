"""Labelled data sets, a file for each; :mod:`rspnet.data.datasets.labelled` loads them."""
