"""Retrieval: what is nearest to a video by each head, and why."""

from dashboard.base.page import Page

PAGE = Page(title="Retrieval", icon=":material/travel_explore:", order=40)
