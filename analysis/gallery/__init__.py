"""How a gallery of embedded videos is arranged: neighbours, structure, projections."""
