"""Speed lab: how both heads respond as one thing about a clip changes."""

from dashboard.base.page import Page

PAGE = Page(title="Speed lab", icon=":material/speed:", order=30)
