"""What stands behind :mod:`rspnet.data.datasets.labelled`: one reader a data set."""
