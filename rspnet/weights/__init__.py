"""Model files, and weights of others read into them."""
