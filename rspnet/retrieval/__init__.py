"""Galleries of embedded videos: making, storing and searching them."""
