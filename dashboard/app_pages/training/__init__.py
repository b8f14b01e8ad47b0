"""Training: a run while it trains, and its maps over the steps."""

from dashboard.base.page import Page

PAGE = Page(title="Training", icon=":material/show_chart:", order=70)
