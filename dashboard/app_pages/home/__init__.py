"""Home: what one is looking at, a first example, and the ways from here."""

from dashboard.base.page import Page

PAGE = Page(title="Home", icon=":material/home:", order=10)
