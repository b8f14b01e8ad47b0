"""Compare: where both heads look, on a pair of clips."""

from dashboard.base.page import Page

PAGE = Page(title="Compare", icon=":material/compare:", order=20)
