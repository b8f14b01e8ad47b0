"""Home: what one is looking at, a first example, and the ways from here."""
