"""The page: what it holds, that it is whole, that nothing leaks into the markup."""

from html.parser import HTMLParser

import pytest

from analysis.core.statistics import Estimate
from analysis.core.table import Table
from analysis.report.page import Picture, Section, render

PNG = b"\x89PNG\r\n\x1a\n"


class Tags(HTMLParser):
    """Tags and text of a page; complains of one that is not closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def make(**changes: object) -> str:
    table = Table(
        header=("map", "RSP", "n"),
        rows=[("margin", Estimate(2.5, -1.0, 3.0, 40), 0.5), ("<b>", "x", -1.0)],
        caption="40 videos",
        strong=frozenset([0]),
    )
    settings: dict = {
        "key": "localisation",
        "title": "Where do they look?",
        "finding": "RSP looks at <limbs> & more.",
        "tables": [table],
        "pictures": [Picture(data=PNG, alt='a "dot" plot', caption="Ratios")],
    }
    return render("Report", ["model m"], [Section(**(settings | changes))])


def test_everything_is_there_once_and_escaped() -> None:
    page = Tags(make())
    text = "".join(page.text)
    for words in ("Report", "model m", "Where do they look?", "RSP looks at <limbs> & more."):
        assert words in text
    assert "2.50" in text
    assert "\N{MINUS SIGN}1.00 to 3.00" in text
    assert "<b>" in text  # as text, not as a tag
    assert not [tag for tag, _ in page.found if tag == "b"]
    images = [attributes for tag, attributes in page.found if tag == "img"]
    assert [image["alt"] for image in images] == ['a "dot" plot']
    assert images[0]["src"].startswith("data:image/png;base64,")
    assert [a["href"] for tag, a in page.found if tag == "a"] == ["#localisation"]
    assert [a.get("class") for tag, a in page.found if tag == "tr"] == [None, "strong", None]


def test_the_page_needs_no_other_file() -> None:
    page = Tags(make())
    sources = [a[name] for _, a in page.found for name in ("src", "href") if name in a]
    assert all(s.startswith(("data:", "#")) for s in sources)
    assert not [tag for tag, _ in page.found if tag in ("script", "link", "iframe")]


def test_what_was_skipped_says_why() -> None:
    text = "".join(Tags(make(skipped="no labels", finding="", tables=[], pictures=[])).text)
    assert "Skipped: no labels" in text


def test_wrong_parts_are_refused() -> None:
    with pytest.raises(ValueError, match=r"each of the 2 columns, got rows of \[1\]"):
        Table(header=("a", "b"), rows=[("x",)], caption="")
    with pytest.raises(ValueError, match="PNG or SVG"):
        make(pictures=[Picture(data=b"GIF89a", alt="", caption="")])


def test_a_folded_table_opens_by_its_caption() -> None:
    table = Table(header=("a", "b"), rows=[("x", 1.0)], caption="a control", folded=True)
    page = Tags(make(tables=[table]))
    tags = [tag for tag, _ in page.found]
    assert tags.index("details") < tags.index("summary") < tags.index("table")
    assert "a control" in page.text
    assert "caption" not in tags
