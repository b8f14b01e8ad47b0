"""Training: a run's curves while it trains, and both heads' maps of one pair over the steps."""

import html
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from dashboard.app_pages.training import maps as run_maps
from dashboard.app_pages.training.maps import Grown
from dashboard.base import limits, links
from dashboard.base.arguments import runs_folder
from dashboard.base.session import state_of
from dashboard.base.state import plain, quote
from dashboard.base.style import COLOURS, DASHES, SYMBOLS, signed
from dashboard.overlays.options import C_I, C_J
from dashboard.services import runs
from dashboard.services.galleries import identity, pixel_aspect
from dashboard.widgets import cards, controls, pool, shell
from dashboard.widgets.shell import Opened
from rspnet.files import printable
from rspnet.names import HEAD_TITLES, HEADS

if TYPE_CHECKING:
    from analysis.figures.curves import Run

SUMMARY = "A run's curves while it trains, and the maps of both heads as they develop."
RECORDED = (
    "This is a recorded run: the first stage of the shipped model's recipe, in which RSP is found; "
    "A-VID is not trained in it."
)
REFRESH_SECONDS = 3
MAPS_SECONDS = 10
CHART_PIXELS = 210
SPANS = (1, 7, 25)
INK = "#7a828e"
# Keys of the menus of the page, which are also what its link holds.
RUN, MEAN, STEP, PAIR = "training_run", "training_mean", "training_step", "training_pair"


@dataclass
class Shown:
    """What the page showed last.

    Attributes:
        run: Name of the run: another one has steps of its own.
    """

    run: str = ""


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
    opened = shell.open_page("Training", SUMMARY)
    root, recorded = runs_folder(opened.arguments), runs.recorded()
    try:
        found = runs.find(root)
    except ValueError:
        found = runs.Found(root, [], [])
    if not found.names:
        _say_no_runs(root, opened, recorded)
        if not recorded.names:
            return
    names = [*found.names, *(name for name in recorded.names if name not in found.names)]
    with st.container(key="display", horizontal=True, vertical_alignment="bottom", gap="medium"):
        name, span = _choose(opened.link, names, set(names) - set(found.names))
    links.show_notes(opened.notes)
    if found.skipped:
        st.caption(plain(limits.sentence_of_links(root, found.skipped)))
    own = found.root if name in found.names else recorded.root
    _draw_curves(own, name, span)
    every = MAPS_SECONDS if own is found.root and runs.is_live(own, name) else None
    st.fragment(_draw_growth, run_every=every)(own, name, opened)
    links.write({"run": name, "mean": str(span)} | _place())


def _place() -> dict[str, str]:
    """Step and pair, where the run has maps, as parameters of the link."""
    keys = {"step": STEP, "pair": PAIR}
    return {n: str(st.session_state[key]) for n, key in keys.items() if key in st.session_state}


def _say_no_runs(root: Path, opened: Opened, recorded: runs.Found) -> None:
    named = [name for name in ("run", "step", "pair", "mean") if name in opened.link]
    if named and opened.link.get("run") not in recorded.names:
        what = " and ".join(f"the {name} {quote(opened.link[name])}" for name in named)
        links.note(
            f"The link names {what}, but there is no run here, so none of it can be shown. It was "
            "made where the dashboard was started with another `--runs`, or the runs were moved."
        )
    links.show_notes(opened.notes)
    if root.is_dir():
        what = "holds no run yet"
    else:
        what = "is a file" if root.exists() else "does not exist"
    name = "runs" if root.is_file() else printable(root.name)
    shown = f"{RECORDED} " if recorded.names else ""
    st.caption(
        f"{shown}The folder of runs, `{printable(root)}`, {what}: start one with `python -m "
        f"rspnet.train --out {name}/first --callback analysis.report.map_tracker:MapTracker`, or "
        "name another folder, `streamlit run dashboard/app.py -- --runs DIR`."
    )


def _choose(link: dict[str, str], names: list[str], recorded: set[str]) -> tuple[str, int]:
    links.take_option(RUN, "the run", link.get("run"), names)

    def title(name: str) -> str:
        return f"{Path(name).stem.replace('_', ' ')}, recorded" if name in recorded else name

    name = st.selectbox("Run", names, key=RUN, width=320, format_func=title)
    links.take_number(MEAN, "the mean", link.get("mean"), SPANS, 1)
    span = st.segmented_control(
        "Smoothing",
        SPANS,
        key=MEAN,
        required=True,
        format_func=lambda span: "none" if span == 1 else f"mean of {span} rows",
    )
    shown = state_of(Shown)
    if shown.run and shown.run != name:
        st.session_state.pop(STEP, None)
    shown.run = str(name)
    for parameter, key in (("step", STEP), ("pair", PAIR)):
        if link.get(parameter, "").isdecimal() and len(link[parameter]) < 12:
            st.session_state[key] = int(link[parameter])
        elif parameter in link:
            links.note(f"The link's {parameter} is no number; this is the default.")
    return shown.run, int(span or 1)


@st.fragment(run_every=REFRESH_SECONDS)
def _draw_curves(root: Path, name: str, span: int) -> None:
    """Newest numbers and curves, drawn again while the run writes."""
    try:
        run = runs.read_metrics(root, name)
        age = runs.seconds_since(root, name)
    except ValueError as error:
        if "holds no rows" in str(error):
            st.info(plain(f"{name} has no rows yet. They appear here once the run writes them."))
            return
        shell.show_error(error)
        return
    st.html(_newest(run, age, runs.max_steps(root, name)))
    panels = PANELS if "rsp_loss" in run.columns else SINGLE + PANELS[3:]
    with st.container(key="curves", horizontal=True, gap="medium"):
        for panel in panels:
            if all(column in run.columns for column, _, _ in panel[2]):
                with st.container(gap="xxsmall"):
                    _draw_panel(run, span, *panel)
    _draw_evidence(root, name)


def _draw_evidence(root: Path, name: str) -> None:
    """What the heads look at, as the run's callback measured it."""
    import numpy as np

    from dashboard.base.charts import curves

    try:
        rows = runs.read_evidence(root, name)
    except ValueError as error:
        shell.show_error(error)
        return
    if not rows:
        return
    first = rows[0]
    st.html(
        '<div class="row-title" style="margin-top: 1rem">What the heads look at <span class="dim">'
        f"{first.estimate.num} synthetic videos a point; bars are 95% intervals</span></div>"
    )
    with st.container(key="evidence", horizontal=True, gap="medium"):
        for number in dict.fromkeys(row.number for row in rows):
            lines, bars = [], []
            own = [row for row in rows if row.number == number]
            for head in HEADS:
                found = [row.estimate for row in own if row.of == head]
                dash = "5px 3px" if DASHES[head] == "dashed" else "solid"
                values = np.array([e.value for e in found])
                lines.append((HEAD_TITLES[head], COLOURS[head], dash, values))
                bars.append(np.array([(e.low, e.high) for e in found]))
            steps = np.array([row.step for row in own if row.of == HEADS[0]])
            with st.container(gap="xxsmall"):
                st.html(f'<div class="row-title">{html.escape(number.capitalize())}</div>')
                st.plotly_chart(
                    curves(lines, [], steps, CHART_PIXELS, bars=bars),
                    key=f"evidence_{number}",
                    config={"displayModeBar": False},
                    alt=f"{number} over the steps of {printable(name)}, RSP and A-VID.",
                )


def _newest(run: "Run", age: float, max_steps: int | None) -> str:
    """The last row, how far the run is, and whether it still writes."""
    last = {column: float(values[-1]) for column, values in run.columns.items()}
    live = age < runs.LIVE_SECONDS
    of_all = f" of {max_steps:,}" if max_steps else ""
    words = [f"<b>Step {last['step']:,.0f}{of_all}</b>"]
    named = (
        ("rsp_accuracy", "RSP, correct order", ".2f"),
        ("avid_top1", "A-VID, top-1", ".2f"),
        ("accuracy", "accuracy", ".2f"),
        ("clips_per_second", "clips per second", ".0f"),
        ("data_wait", "waiting for data", ".0%"),
        ("memory_gib", "GiB of memory", ".1f"),
    )
    words += [
        f"{title} {last[n]:{form}}"
        for n, title, form in named
        if math.isfinite(last.get(n, math.nan))
    ]
    state = "writing now" if live else f"last row {_ago(age)} ago"
    if max_steps and last["step"] >= max_steps:
        state, live = "finished", False
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
        alt=f"{title} over the steps of {printable(run.name)}: "
        f"{', '.join(words for _, words, _ in columns)}.",
    )


def _draw_growth(root: Path, name: str, opened: Opened) -> None:
    """Maps of a fixed pair, a step at a time; drawn again while the run writes."""
    st.html(
        '<div class="row-title" style="margin-top: 1rem">Maps of both heads of one pair, over the '
        'steps <span class="dim">contributions to s, one scale a head for all steps</span></div>'
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
    link = links.visit().link or {}
    if "run" in link and link | _place() != link:
        links.write(link | _place())


def _step(steps: list[int]) -> int:
    if st.session_state.get(STEP) not in steps:
        st.session_state[STEP] = steps[-1]
    if len(steps) == 1:
        st.caption(f"There is one step so far: {steps[0]}.")
        return steps[0]
    return int(st.select_slider("Step", steps, key=STEP))


def _draw_tracked(root: Path, name: str, tracked: runs.Tracked) -> None:
    pairs = list(range(1, len(tracked.videos) + 1))
    with st.container(key="growth", horizontal=True, gap="medium", vertical_alignment="bottom"):
        with st.container(width="stretch"):
            step = _step(tracked.steps)
        if st.session_state.get(PAIR) not in pairs:
            st.session_state[PAIR] = 1
        pair = st.selectbox(
            "Pair",
            pairs,
            key=PAIR,
            width=280,
            format_func=lambda n: f"{n}: {printable(Path(tracked.videos[n - 1]).name)}",
        )
    if tracked.damaged:
        st.caption(plain(f"Skipped, damaged: {', '.join(tracked.damaged[:3])}."))
    try:
        grown = run_maps.tracked_at(root, name, tracked, step, pair - 1)
        frames = [(int(f[0]), int(f[-1])) for f in tracked.frames[pair - 1]]
        video = run_maps.video_of(tracked, pair - 1)
        _draw_tiles(grown, step, printable(video.name), frames, pixel_aspect(video))
        _draw_correlation(root, name, pair)
    except ValueError as error:
        picture = runs.folder_of(root, name) / "maps" / f"step_{step:08d}.png"
        st.caption(plain(f"As the run's callback drew them, because {error}."))
        st.image(str(runs.inside(root, picture)), caption=f"Maps at step {step}")


def _draw_correlation(root: Path, name: str, pair: int) -> None:
    """How alike the two heads' maps of the pair are, over the steps."""
    import numpy as np

    from analysis.report.map_tracker import read_correlations
    from dashboard.base.charts import curves

    table = runs.folder_of(root, name) / "maps" / "correlation.csv"
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
            "minutes; maps at many steps by `--callback analysis.report.map_tracker:MapTracker`.",
            icon=":material/info:",
        )
        return
    spec = run_maps.spec_of_checkpoint(identity(next(iter(paths.values()))))
    title = links.visit().carried.get("gallery", "")
    titles = controls.galleries(opened.arguments)
    source = pool.open_gallery(title if title in titles else titles[0], opened.arguments)
    pair = controls.first_pair(source, spec["num_frames"], 1) if source else None
    if pair is None:
        st.info("The gallery has no video that is long enough for a clip of this run's model.")
        return
    step = _step(list(paths))
    keys = [clip.ref(spec["size"]) for clip in pair]
    with st.spinner("Drawing the maps of the checkpoints"):
        grown = run_maps.checkpoint_at(paths, step, keys[0], keys[1])
    frames = [(clip.indices[0], clip.indices[-1]) for clip in pair]
    _draw_tiles(grown, step, pair[0].video.title, frames, pair[0].info.pixel_aspect)
    st.caption(
        "From the checkpoints that the run has kept. For maps at many steps train with "
        "`--callback analysis.report.map_tracker:MapTracker`."
    )


def _draw_tiles(
    grown: Grown, step: int, video: str, frames: list[tuple[int, int]], aspect: float
) -> None:
    tiles = []
    for head, sheets in grown.sheets.items():
        symbol = f'<span class="symbol">s<sub>{SYMBOLS[head]}</sub></span>'
        for side, picture, (first, last) in zip((C_I, C_J), sheets, frames, strict=True):
            alt = f"{HEAD_TITLES[head]}, step {step}, frames {first} to {last} of {video}"
            text = (
                f"{symbol} = {signed(grown.similarity[head], 3)}, scale "
                f"\N{PLUS-MINUS SIGN}{grown.limit[head]:.2g}"
            )
            tiles.append(cards.tile(picture, alt, f"{HEAD_TITLES[head]}, {side}", text, aspect))
    st.html(
        f'<div class="example four" data-testid="growth" data-step="{step}">{"".join(tiles)}</div>'
        f'<p class="lead" style="margin-top: 0.6rem">{html.escape(video)}: {C_I} is frames '
        f"{frames[0][0]} to {frames[0][1]}, {C_J} frames {frames[1][0]} to {frames[1][1]}. "
        "Orange raises s, blue lowers it. Point at a picture to see it move.</p>"
    )
