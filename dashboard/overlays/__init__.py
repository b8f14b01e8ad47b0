"""From a request to the maps and panels that show it."""
