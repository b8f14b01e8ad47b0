"""Training: a run's curves while it goes on, and both heads' maps of one pair as they grew."""

import html
import math
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from dashboard.base import links
from dashboard.base.state import choose, choose_number, quote
from dashboard.base.style import COLOURS, DASHES, SYMBOLS, signed
from dashboard.overlays.options import C_I, C_J
from dashboard.pages.training import maps as run_maps
from dashboard.pages.training.maps import Grown
from dashboard.services import runs
from dashboard.widgets import controls, shell
from dashboard.widgets.shell import Opened
from rspnet.names import HEAD_TITLES

if TYPE_CHECKING:
    from analysis.figures.curves import Run

QUESTION = "How does the model learn, and how do the maps of its two heads grow apart?"
REFRESH_SECONDS = 3
CHART_PIXELS = 210
SPANS = (1, 7, 25)
INK = "#7a828e"

# Title, what is said beside it, columns with their head, whether by logarithm, a line to compare.
PANELS: tuple[tuple[str, str, tuple[tuple[str, str, str], ...], bool, float | None], ...] = (
    ("Loss", "logarithmic", (("rsp_loss", "RSP", "rsp"), ("avid_loss", "A-VID", "avid")), True,
     None),
    ("Accuracy", "RSP: chance 0.5",
     (("rsp_accuracy", "RSP", "rsp"), ("avid_top1", "A-VID", "avid")), False, 0.5),
    ("Spread", "0: all one point",
     (("rsp_spread", "RSP", "rsp"), ("avid_spread", "A-VID", "avid")), False, None),
    ("Learning rate", "", (("lr", "Learning rate", ""),), False, None),
    ("Speed", "clips per second", (("clips_per_second", "Clips per second", ""),), False, None),
)  # fmt: skip
# For runs with one loss: python -m rspnet.finetune.
SINGLE: tuple[tuple[str, str, tuple[tuple[str, str, str], ...], bool, float | None], ...] = (
    ("Loss", "logarithmic", (("loss", "Loss", ""),), True, None),
    ("Accuracy", "of the batches", (("accuracy", "Accuracy", ""),), False, None),
)


def page() -> None:
    """Draw the page."""
    opened = shell.open_page("Training", QUESTION)
    root = runs.root_of(opened.arguments)
    try:
        found = runs.find(root)
    except ValueError:
        _say_no_runs(root, opened)
        return
    if not found.names:
        _say_no_runs(root, opened)
        return
    with st.container(key="look", horizontal=True, vertical_alignment="bottom", gap="medium"):
        name, span = _choose(opened.link, found.names)
    links.show_notes(opened.notes)
    if found.skipped:
        st.caption(f"Left out, links that lead out of {root}: {', '.join(found.skipped[:3])}.")
    _draw_curves(found.root, name, span)
    _draw_growth(found.root, name, opened)
    links.write(
        {"run": name, "mean": str(span)}
        | {key: str(st.session_state[key]) for key in ("step", "pair") if key in st.session_state}
    )


def _say_no_runs(root: Path, opened: Opened) -> None:
    named = [name for name in ("run", "step", "pair", "mean") if name in opened.link]
    if named:
        what = " and ".join(f"the {name} {quote(opened.link[name])}" for name in named)
        st.session_state.setdefault("notes", []).append(
            f"The link names {what}, but there is no run here, so none of it can be shown. It was "
            "made where the dashboard was started with another `--runs`, or the runs were moved."
        )
    links.show_notes(opened.notes)
    if root.is_dir():
        what = "holds no run yet"
    else:
        what = "is a file" if root.exists() else "does not exist"
    name = "runs" if root.is_file() else root.name
    st.info(
        f"The folder of runs, `{root}`, {what}. Start one with `python -m rspnet.train --out "
        f"{name}/first --observer analysis.report.map_tracker:MapTracker`, or name another folder: "
        "`streamlit run dashboard/app.py -- --runs DIR`.",
        icon=":material/info:",
    )


def _choose(link: dict[str, str], names: list[str]) -> tuple[str, int]:
    if "run" in link or st.session_state.get("run") not in names:
        links.take("run", choose("the run", link.get("run"), names, names[0]))
    before = st.session_state["run"]
    name = st.selectbox("Run", names, key="run", width=320)
    if "mean" in link or st.session_state.get("mean") not in SPANS:
        links.take("mean", choose_number("the mean", link.get("mean"), SPANS, 1))
    span = st.segmented_control("Lines: mean of rows", SPANS, key="mean", required=True)
    if name != before or st.session_state.get("run_shown") not in (None, name):
        st.session_state.pop("step", None)
    st.session_state["run_shown"] = name
    for key in ("step", "pair"):
        if link.get(key, "").isdecimal() and len(link[key]) < 12:
            st.session_state[key] = int(link[key])
        elif key in link:
            st.session_state.setdefault("notes", []).append(
                f"The link's {key} is no number; this is the first that there is."
            )
    return str(name), int(span or 1)


@st.fragment(run_every=REFRESH_SECONDS)
def _draw_curves(root: Path, name: str, span: int) -> None:
    """Newest numbers and curves, drawn again while the run goes on."""
    try:
        run = runs.read_metrics(root, name)
        age = runs.seconds_since(root, name)
    except ValueError as error:
        if "holds no rows" in str(error):
            st.info(f"{name} has no rows yet. They appear here once the run writes them.")
            return
        shell.show_error(error)
        return
    st.html(_newest(run, age))
    panels = PANELS if "rsp_loss" in run.columns else SINGLE + PANELS[3:]
    with st.container(key="curves", horizontal=True, gap="medium"):
        for panel in panels:
            if all(column in run.columns for column, _, _ in panel[2]):
                with st.container(gap="xxsmall"):
                    _draw_panel(run, span, *panel)


def _newest(run: "Run", age: float) -> str:
    last = {column: float(values[-1]) for column, values in run.columns.items()}
    live = age < runs.LIVE_SECONDS
    words = [f"<b>Step {last['step']:.0f}</b>"]
    named = (
        ("rsp_accuracy", "RSP, right order", ".2f"),
        ("avid_top1", "A-VID, top-1", ".2f"),
        ("accuracy", "accuracy", ".2f"),
        ("clips_per_second", "clips per second", ".0f"),
        ("memory_gib", "GiB of memory", ".1f"),
    )
    words += [
        f"{title} {last[n]:{form}}"
        for n, title, form in named
        if math.isfinite(last.get(n, math.nan))
    ]
    state = "writing now" if live else f"last row {_ago(age)} ago"
    words.append(f'<span class="{"live" if live else "dim"}">{state}</span>')
    return f'<div class="newest" data-testid="newest">{" &middot; ".join(words)}</div>'


def _ago(seconds: float) -> str:
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            number = int(seconds // size)
            return f"{number} {unit}{'s' if number > 1 else ''}"
    return f"{seconds:.0f} seconds"


def _draw_panel(
    run: "Run",
    span: int,
    title: str,
    note: str,
    columns: tuple[tuple[str, str, str], ...],
    logarithmic: bool,
    reference: float | None,
) -> None:
    from analysis.figures.curves import smoothed
    from dashboard.base.charts import curves

    keys = "".join(
        f'<span class="key"><span class="swatch" style="border-top: 3px {DASHES[head]} '
        f'{COLOURS[head]}"></span>{words}</span>'
        for _, words, head in columns
        if head
    )
    st.html(
        f'<div class="row-title">{title}<span class="dim">{note}</span>'
        f'<span class="legend">{keys}</span></div>'
    )
    values = [run.columns[column] for column, _, _ in columns]
    lines = [
        (
            words,
            COLOURS.get(head, INK),
            "5px 3px" if DASHES.get(head) == "dashed" else "solid",
            smoothed(own, span),
        )
        for (_, words, head), own in zip(columns, values, strict=True)
    ]
    figure = curves(
        lines,
        values if span > 1 else [],
        run.columns["step"],
        CHART_PIXELS,
        logarithmic=logarithmic,
        reference=reference,
    )
    st.plotly_chart(
        figure,
        key=f"curve_{title}",
        config={"displayModeBar": False},
        alt=f"{title} over the steps of {run.name}: {', '.join(words for _, words, _ in columns)}.",
    )


@st.fragment
def _draw_growth(root: Path, name: str, opened: Opened) -> None:
    """Maps of a fixed pair, a step at a time."""
    st.html(
        '<div class="row-title" style="margin-top: 1rem">Both heads\' maps of one pair, as they '
        'grew <span class="dim">contributions to s, one scale a head for all steps</span></div>'
    )
    try:
        tracked = runs.read_tracked(root, name)
        if tracked is not None:
            _draw_tracked(root, name, tracked)
        else:
            _draw_checkpoints(root, name, opened)
    except ValueError as error:
        shell.show_error(error)
    _write_link()


def _write_link() -> None:
    link = dict(st.session_state.get("link", {}))
    own = {key: str(st.session_state[key]) for key in ("step", "pair") if key in st.session_state}
    if "run" in link and link | own != link:
        links.write(link | own)


def _step(steps: list[int]) -> int:
    if st.session_state.get("step") not in steps:
        st.session_state["step"] = steps[-1]
    if len(steps) == 1:
        st.caption(f"There is one step so far: {steps[0]}.")
        return steps[0]
    return int(st.select_slider("Step", steps, key="step"))


def _draw_tracked(root: Path, name: str, tracked: runs.Tracked) -> None:
    pairs = list(range(1, len(tracked.videos) + 1))
    with st.container(key="growth", horizontal=True, gap="medium", vertical_alignment="bottom"):
        with st.container(width="stretch"):
            step = _step(tracked.steps)
        if st.session_state.get("pair") not in pairs:
            st.session_state["pair"] = 1
        pair = st.selectbox(
            "Pair",
            pairs,
            key="pair",
            width=280,
            format_func=lambda n: f"{n}: {Path(tracked.videos[n - 1]).name}",
        )
    if tracked.damaged:
        st.caption(f"Left out, damaged: {', '.join(tracked.damaged[:3])}.")
    try:
        grown = run_maps.tracked_at(root, name, tracked, step, pair - 1)
        frames = [(int(f[0]), int(f[-1])) for f in tracked.frames[pair - 1]]
        _draw_tiles(grown, step, Path(tracked.videos[pair - 1]).name, frames)
        _draw_correlation(root, name, pair)
    except ValueError as error:
        picture = root / name / "maps" / f"step_{step:08d}.png"
        st.caption(f"As the run's observer drew them, because {error}.")
        st.image(str(runs.inside(root, picture)), caption=f"Maps at step {step}")


def _draw_correlation(root: Path, name: str, pair: int) -> None:
    """How alike the two heads' maps of the pair are, over the steps."""
    import numpy as np

    from analysis.report.map_tracker import read_correlations
    from dashboard.base.charts import curves

    table = root / name / "maps" / "correlation.csv"
    if not table.exists():
        return
    rows = [row for row in read_correlations(runs.inside(root, table)) if row[1] == pair - 1]
    if not rows:
        return
    st.html(
        '<div class="row-title">Rank correlation of the two heads\' maps <span class="dim">1: they '
        "order places alike, 0: they have nothing to do with each other</span></div>"
    )
    steps, values = np.array([row[0] for row in rows]), np.array([row[2] for row in rows])
    with st.container(key="correlation"):
        st.plotly_chart(
            curves([("rho", INK, "solid", values)], [], steps, CHART_PIXELS, reference=0.0),
            key="curve_correlation",
            config={"displayModeBar": False},
            alt=f"Rank correlation of the RSP and the A-VID map of pair {pair} over the steps.",
        )


def _draw_checkpoints(root: Path, name: str, opened: Opened) -> None:
    paths = runs.checkpoints(root, name)
    if not paths:
        st.info(
            "This run has neither checkpoints nor maps yet. Checkpoints are written every few "
            "minutes; maps at many steps by `--observer analysis.report.map_tracker:MapTracker`.",
            icon=":material/info:",
        )
        return
    spec = run_maps.spec_of_checkpoint(next(iter(paths.values())))
    title = str(st.session_state.get("carried", {}).get("gallery", ""))
    titles = controls.galleries(opened.arguments)
    source = shell.open_gallery(title if title in titles else titles[0], opened.arguments)
    pair = controls.first_pair(source, spec["num_frames"], 1) if source else None
    if pair is None:
        st.info("The gallery has no video that is long enough for a clip of this run's model.")
        return
    step = _step(list(paths))
    keys = [clip.ref(spec["size"]) for clip in pair]
    with st.spinner("Drawing the maps of the checkpoints"):
        grown = run_maps.checkpoint_at(paths, step, keys[0], keys[1])
    frames = [(clip.indices[0], clip.indices[-1]) for clip in pair]
    _draw_tiles(grown, step, pair[0].video.title, frames)
    st.caption(
        "From the checkpoints that the run has kept. For maps at many steps train with "
        "`--observer analysis.report.map_tracker:MapTracker`."
    )


def _draw_tiles(grown: Grown, step: int, video: str, frames: list[tuple[int, int]]) -> None:
    tiles = []
    for head, sheets in grown.sheets.items():
        symbol = f'<span class="symbol">s<sub>{SYMBOLS[head]}</sub></span>'
        for side, picture, (first, last) in zip((C_I, C_J), sheets, frames, strict=True):
            alt = f"{HEAD_TITLES[head]}, step {step}, frames {first} to {last} of {video}"
            tiles.append(
                f'<figure><div class="tile" role="img" tabindex="0" '
                f'aria-label="{html.escape(alt)}" '
                f'style="background-image: url({picture})"></div><figcaption>'
                f"<b>{HEAD_TITLES[head]}, {side}</b>{symbol} = "
                f"{signed(grown.similarity[head], 3)}, scale "
                f"\N{PLUS-MINUS SIGN}{grown.limit[head]:.2g}</figcaption></figure>"
            )
    st.html(
        f'<div class="example four" data-testid="growth" data-step="{step}">{"".join(tiles)}</div>'
        f'<p class="lead" style="margin-top: 0.6rem">{html.escape(video)}: {C_I} is frames '
        f"{frames[0][0]} to {frames[0][1]}, {C_J} frames {frames[1][0]} to {frames[1][1]}. "
        "Orange adds to s, blue takes away. Point at a picture to see it move.</p>"
    )
