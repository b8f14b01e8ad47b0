"""What stands behind :mod:`rspnet.data.labelled`: one reader a data set."""
