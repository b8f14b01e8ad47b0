"""Evidence: what a report found about a model's two heads."""

from dashboard.base.page import Page

PAGE = Page(title="Evidence", icon=":material/fact_check:", order=60)
