"""Embedding: a gallery in two dimensions, by both heads."""

from dashboard.base.page import Page

PAGE = Page(title="Embedding", icon=":material/scatter_plot:", order=50)
