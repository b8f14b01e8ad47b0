"""What stands behind :mod:`rspnet.data.video`: checks, frame index, decoders."""
