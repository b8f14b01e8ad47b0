"""Whether the maps on the screen can be believed: one word a head, and the numbers behind it."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import streamlit as st

from dashboard.base.state import plain
from dashboard.services.jobs import Job
from rspnet.names import HEAD_TITLES

if TYPE_CHECKING:
    from analysis.report.verdict import Verdict

WORDS = {"supported": "green", "weak": "orange", "not supported": "red"}
MEANING = (
    "**supported**: the cells add up to the score, the map is not that of random weights, and the "
    "score falls where the map says: a margin faster as cells are frozen in its order than in each "
    "random order, and most without the movement of the cells that the map ranks highest; *s* "
    "faster as the features of cells become the mean of other videos in its order than in that of "
    "95% of its other places (without other videos, and in a retrieval: as cells are blurred, than "
    "in each random order). **weak**: a margin falls most without the movement of other cells, or "
    "the map is much like that of random weights. **not supported**: the score does not fall where "
    "the map says, or the cells do not add up."
)
EVERY_SECONDS = 1.5
Start = Callable[[], "tuple[Job | None, dict[str, Verdict]]"]


def draw(start: Start, maps: str) -> None:
    """The verdicts by head on some maps, or that they are on their way.

    Args:
        start: Begins the checks or finds what came of them (:mod:`dashboard.overlays.verdict_job`).
        maps: Which maps they are of, as HTML.
    """
    job, _ = start()
    every = EVERY_SECONDS if job is not None and not job.finished.is_set() else None
    # It ticks until the page is drawn anew for another reason. Drawing it anew from here would
    # take a visitor back who was just leaving for another page.
    st.fragment(_draw, run_every=every)(start, maps)


def _draw(start: Start, maps: str) -> None:
    job, found = start()
    row = st.container(key="verdicts", horizontal=True, vertical_alignment="center", gap="small")
    with row:
        if found:
            st.html(
                f'<p class="lead" data-testid="verdicts">{_words(found, maps)}</p>', width="content"
            )
            with st.popover("Why", type="tertiary", width="content"):
                for head, verdict in found.items():
                    lines = "\n".join(f"- {check.text}" for check in verdict.checks)
                    st.markdown(f"**{HEAD_TITLES[head]}: {verdict.word}**\n{lines}")
                st.caption(MEANING)
        elif job is not None and job.error:
            st.caption(plain(f"The maps could not be checked: {job.error}"))
        else:
            part = f", {job.part:.0%}" if job is not None else ""
            st.html(
                f'<p class="dim" data-testid="verdicts">Checking {maps} against random '
                f"weights and random orders{part}&hellip;</p>",
                width="content",
            )


def _words(found: "dict[str, Verdict]", maps: str) -> str:
    words = [
        f'{HEAD_TITLES[head]} <b class="verdict-{WORDS[verdict.word]}">{verdict.word}</b>'
        for head, verdict in found.items()
    ]
    return f"Verdict on {maps}: {', '.join(words)}."


def answer(rsp: Mapping[str, float], avid: Mapping[str, float]) -> str:
    """What the two heads look at, in a sentence, HTML.

    Args:
        rsp: Share of RSP's map in moving limbs over their share of the pixels: ``value``, ``low``,
            ``high`` and ``num``, of a report's row :data:`dashboard.services.reports.ANSWER`.
        avid: The same of A-VID's.
    """
    found = "The two heads do not differ clearly in how much they look at movement"
    if rsp["low"] > avid["high"]:
        found = "RSP looks at movement more than A-VID does"
    of_rsp, of_avid = ("{value:.2f} times [{low:.2f}, {high:.2f}]".format(**r) for r in (rsp, avid))
    return (
        f'<p class="lead" data-testid="answer"><b>{found}</b>: moving limbs hold {of_rsp} '
        f"their area in RSP's map and {of_avid} in "
        f'<span style="white-space: nowrap">A-VID\'s</span> (margin towards the faster clip, '
        f"95% intervals over {int(rsp['num'])} videos; 1 is what a uniform map would give).</p>"
    )
