"""Home: the model and the gallery, a first example, and the ways from here."""

import html
import os
from dataclasses import replace

import streamlit as st

from analysis.figures.viewer.panel import PANEL_PIXELS
from analysis.figures.viewer.pictures import fit_height, sheet
from dashboard.base import links
from dashboard.base.arguments import Arguments
from dashboard.base.style import NOTES, SYMBOLS, signed
from dashboard.overlays import view_model
from dashboard.overlays.options import C_I, DisplayOptions
from dashboard.overlays.request import resolve
from dashboard.overlays.selection import Clip, Selection
from dashboard.services import galleries, models, reports
from dashboard.services.galleries import Source
from dashboard.services.models import About, Loaded, ModelChoice
from dashboard.widgets import cards, controls, pool, shell, verdicts
from dashboard.widgets.shell import Opened
from rspnet.files import printable
from rspnet.names import HEAD_TITLES, HEADS

SUBTITLE = "A video model with two heads: one for relative speed, one for appearance."

# Page, title and sentence; a page that is not in the app has no link.
LINKS = (
    (
        "compare",
        "Compare heads",
        "Two clips, both heads: what each attends to, frame by frame, and what each place adds.",
    ),
    (
        "retrieval",
        "Retrieve videos",
        "Search the gallery for what is most alike, by motion or by appearance, and see why.",
    ),
    (
        "evidence",
        "How sure are we?",
        "Both heads against ground truth, movement and controls, every number with its interval.",
    ),
)
DISPLAY = DisplayOptions(scale="head")
PLAIN = DisplayOptions(kind="contribution", scale="head")
# What the maps say, in words that need no other page.
WORDS = {
    DISPLAY.kind: (
        "Each map says what tells this clip from others: for RSP the same video at another "
        "speed, for A-VID clips of other videos."
    ),
    PLAIN.kind: "Each map says what makes this clip alike to another clip of the same video.",
}


def page() -> None:
    """Draw the page."""
    opened = shell.open_page("RSPNet", SUBTITLE)
    if not opened.models:
        st.error(shell.NO_MODEL, icon=":material/error:")
        return
    answer = st.container(key="answer").empty()
    row = st.container(key="home_row", horizontal=True, gap="large")
    example = row.container(key="example")
    example.html('<div class="row-title">A first example</div>')
    with row.container(key="about"):
        _draw_links()
        model, title, place = _choose(opened)
    evidence = st.container()
    links.show_notes(opened.notes)
    _draw_answer(model, opened.arguments, answer)
    with example:
        source = pool.open_gallery(title, opened.arguments)
        pair = source and _first_pair(model, source)
    with place:
        _draw_about(model, source)
    links.write({"model": model.name, "gallery": title})
    # All that is read first stands by now; what follows takes torch.
    with example:
        if source and pair:
            _draw_example(model, source, pair)
    with evidence:
        if not _draw_evidence(model, opened.arguments):
            answer.empty()


def _draw_links() -> None:
    st.html('<div class="row-title">From here</div>')
    with st.container(key="doors", gap="small"):
        for name, title, text in LINKS:
            if shell.has_page(name):
                with st.container(border=True, gap="xxsmall"):
                    shell.link_to(name, title, ":material/arrow_forward:")
                    st.html(f'<p class="door">{text}</p>')


def _draw_answer(
    model: ModelChoice, arguments: Arguments, place: st.delta_generator.DeltaGenerator
) -> None:
    """What the two heads look at, in a sentence; nothing where it was not measured."""
    try:
        rows = reports.rows_of(arguments, model, "localisation")
        rsp, avid = (
            next(
                row["values"]["ratio"]
                for row in rows
                if row["keys"].items() >= {**reports.ANSWER, "head": head}.items()
            )
            for head in HEADS
        )
        place.html(verdicts.answer(rsp, avid))
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration, RuntimeError):
        return  # no such rows, or a damaged file: the page Evidence says what is wrong with it


def _draw_evidence(model: ModelChoice, arguments: Arguments) -> bool:
    """Draw the key numbers of the model's report; whether there is one that can be read."""
    try:
        own = reports.shelf(arguments, model).own
        if not own:
            return False
        headline = reports.headline_of(own[0])
    except (ValueError, KeyError, IndexError):  # the page Evidence says what is wrong with it
        return False
    for table in headline.tables:
        st.html(
            '<div class="row-title">What is known of this model <span class="dim">'
            f"{html.escape(own[0].about)}; 95% intervals</span></div>"
            f"{table.html(caption=False)}"
        )
    return True


def _choose(opened: Opened) -> tuple[ModelChoice, str, st.delta_generator.DeltaGenerator]:
    st.html('<div class="row-title">Model and gallery</div>')
    title = controls.choose_gallery(opened.link, opened.arguments)
    model = controls.choose_model(opened.link, opened.models)
    controls.more(opened.arguments)
    return model, title, st.container()


def _draw_about(model: ModelChoice, source: Source | None) -> None:
    try:
        about = models.about(model)
    except ValueError as error:
        shell.show_error(error)
        return
    rows = {
        "Encoder": f"{html.escape(str(about.spec.get('arch', 'unknown')))}, "
        f"{model.num_frames} frames of {model.size} x {model.size} pixels a clip",
        "SHA-256": f'<code title="{about.sha256}" data-testid="hash">{about.sha256[:16]}</code>',
        "File": html.escape(printable(model.path.name)),
    }
    if source is not None:
        labels = len({video.label for video in source.videos if video.label})
        classes = f", {labels} classes" if labels > 1 else ""
        rows["Gallery"] = f"{html.escape(source.title)}, {len(source.videos)} files{classes}"
    cores = os.cpu_count() or 1
    rows["Device"] = f"CPU, {cores} core{'s' if cores > 1 else ''}, 32-bit numbers"
    body = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows.items())
    st.html(f'<div class="about"><dl>{body}</dl></div>')
    _draw_card(about)


def _draw_card(about: About) -> None:
    with st.expander("The model's card", icon=":material/description:"):
        if about.card:
            st.markdown(about.card)
        elif about.metadata:
            st.json(about.metadata)
        else:
            st.markdown("The file says nothing about its training.")


def _first_pair(model: ModelChoice, source: Source) -> tuple[Clip, Clip] | None:
    """The pair of the example; None where there is none, which is said."""
    pair = controls.first_pair(source, model.num_frames)
    pair = pair or controls.first_pair(source, model.num_frames, 1)
    if pair is None:
        st.info(
            f"No video of this gallery has the {model.num_frames} frames of a clip: "
            "choose another gallery.",
            icon=":material/info:",
        )
    return pair


def _draw_example(model: ModelChoice, source: Source, pair: tuple[Clip, Clip]) -> None:
    place = st.empty()
    try:
        place.html(_waiting(pair[0]))
        loaded = models.load(model)
        selection, body = _example(Selection(model, source, *pair, DISPLAY), loaded)
    except ValueError as error:
        place.empty()
        shell.show_error(error)
        return
    place.html(body)
    shell.link_to(
        "compare",
        "Open this pair in Compare",
        ":material/arrow_forward:",
        map=selection.display.kind,
        scale=selection.display.scale,
        gallery=source.title,
        model=model.name,
        i=selection.clip_i.video.name,
        j=selection.clip_j.video.name,
        i_speed=str(selection.clip_i.speed),
        j_speed=str(selection.clip_j.speed),
        i_start=str(selection.clip_i.start),
        j_start=str(selection.clip_j.start),
    )


def _waiting(clip: Clip) -> str:
    """The example as HTML before there are maps, drawn without torch."""
    frames = galleries.decode(clip.video.identity(), clip.indices)
    height, width = frames.shape[1:3]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = frames[:, top : top + side, left : left + side]
    bare = sheet(fit_height(square, PANEL_PIXELS, PANEL_PIXELS))
    tiles = [cards.tile(bare, f"The clip: {clip.title}", "The clip", C_I, clip.info.pixel_aspect)]
    for name in HEADS:
        tiles.append(cards.tile("", "not drawn yet", HEAD_TITLES[name], "drawing its map"))
    return f'<div class="example waiting">{"".join(tiles)}</div>'


def _example(selection: Selection, loaded: Loaded) -> tuple[Selection, str]:
    """The example as HTML: the default map, or the contributions where a head has no negatives."""
    request = resolve(selection)
    if request.missing:
        selection = replace(selection, display=PLAIN)
        request = resolve(selection)
    view = view_model.view_pair(request, selection.display, loaded)
    kind = selection.display.map
    bare = sheet(request.clip_i.frames(PANEL_PIXELS))
    title, aspect = selection.clip_i.title, selection.clip_i.info.pixel_aspect
    tiles = [cards.tile(bare, f"The clip: {title}", "The clip", C_I, aspect)]
    for name, (panel, _) in view.panels.items():
        score = f'<span class="symbol">{kind.symbol}<sub>{SYMBOLS[name]}</sub></span>'
        text = f"{NOTES[name]}, {score} = {signed(view.score(name), 2)}"
        title = HEAD_TITLES[name]
        alt = f"{title}: map of the {title} head"
        tiles.append(cards.tile(panel.sheet, alt, title, text, aspect))
    failed = "".join(
        f" <b>{HEAD_TITLES[name]} fails on this pair</b>: its score is negative."
        for name in view.panels
        if view.score(name) < 0
    )
    body = (
        f'<div class="example" data-testid="example">{"".join(tiles)}</div>'
        f'<p class="lead" style="margin-top: 0.8rem">{view_model.moving_words(view)}{failed} '
        f"{WORDS[kind.key]} Orange raises the score, blue lowers it, and the frame shows "
        "through where a place does not count. Hover or focus a picture to see it move.</p>"
    )
    return selection, body
