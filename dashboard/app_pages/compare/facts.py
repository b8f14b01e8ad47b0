"""The numbers of a pair's maps in tables, and what the maps are in words, as HTML."""

import html

from analysis.attribution.registry import MapKind
from analysis.figures.viewer.panel import Panel
from dashboard.base.style import COLOURS, DASHES, SYMBOLS, signed, small
from dashboard.overlays.options import C_I, C_J, symbols
from dashboard.overlays.request import NUM_CANDIDATES
from dashboard.overlays.selection import Selection
from dashboard.overlays.view_model import PairView


def _swatch(name: str) -> str:
    """A piece of the head's line. (The page strips SVG from HTML, borders it leaves.)"""
    return f'<span class="swatch" style="border-top: 3px {DASHES[name]} {COLOURS[name]}"></span>'


def facts(selection: Selection, view: PairView) -> str:
    """Numbers of both rows, as a table, and the maps in words, HTML.

    Args:
        selection: What is shown.
        view: Its maps.
    """
    kind, (frames, height, width) = selection.display.map, view.grid.clip
    table = _class_table(view) if view.found.titles else _head_table(kind, view)
    fine = ", from clips shifted by parts of a cell" if selection.display.cells == "fine" else ""
    positive = "the positive contribution" if kind.sums_to else "what is positive in the map"
    number = max(view.found.num_negatives.values(), default=0)
    nearest = f" ({number} of up to {NUM_CANDIDATES} others)" if number else ""
    return (
        f'<div class="facts wide"><div>{table}'
        f'<p class="dim">On moving pixels: share of {positive}, and the share of '
        "all pixels that move, which is what a uniform map would give.</p>"
        f"{_parts_words(selection)}</div>"
        f'<div><p data-testid="kind"><b>{html.escape(kind.title)}.</b> '
        f"{symbols(kind.text)}{nearest}</p>"
        f'<p data-testid="grid">The maps have {view.grid}{fine} (time x height x width), '
        f"drawn over {frames} frames of {height} x {width} pixels. "
        "Orange raises the score, blue lowers it, and the frame shows "
        "through where a cell adds nothing. Box: the largest connected part of the cells that "
        f"hold half of {positive}."
        f"{_hint(selection)}</p></div></div>"
    )


def _parts_words(selection: Selection) -> str:
    """What the two parts over time are, where there are any."""
    if not selection.display.map.fine or selection.display.cells == "fine":
        return ""
    return (
        '<p class="dim">Over time: what stands still is what the clip has when it is stopped at '
        "its middle frame, what moves is what movement adds to that; they sum to the total.</p>"
    )


def _head_table(kind: MapKind, view: PairView) -> str:
    # Where the map does not add up to s, s has a column of its own.
    beside = kind.symbol != "s" or not kind.sums_to
    rows = []
    for name, panels in view.panels.items():
        errors = [panel.error for panel in panels if panel.error is not None]
        error = max(errors, default=view.found.convergence_error(name))
        total = signed(panels[0].total, 4)
        if kind.sums_to:
            total += f" = {_symbol(kind.symbol, name)}"
        similarity = signed(view.found.similarity[name])
        own = f'<td class="number">{similarity}</td>' if beside else ""
        rows.append(
            f'<tr data-testid="facts-{name}"><td>{_swatch(name)}{view.title(name)}</td>'
            f'<td class="number">{total}{_error(error)}</td>'
            f"{own}{''.join(_moving(panel) for panel in panels)}</tr>"
        )
    head_s = '<th>Similarity <span class="symbol">s</span></th>' if beside else ""
    return (
        f"<table><thead><tr><td></td><th>{kind.total_title}</th>{head_s}"
        f"<th>On moving pixels, {C_I}</th><th>{C_J}</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def _class_table(view: PairView) -> str:
    """Logit and probability of each class or answer in each clip, a line each."""
    rows = []
    for name, panels in view.panels.items():
        offsets = view.found.offset.get(name, (0.0, 0.0))
        for side, panel, probability, offset in zip(
            (C_I, C_J), panels, view.found.probability[name], offsets, strict=True
        ):
            title = html.escape(view.title(name))
            bias = f" {signed(-offset, 3)}" if offset else ""
            rows.append(
                f'<tr data-testid="facts-{name}"><td>{_swatch(name)}{title}</td>'
                f'<td>{side}</td><td class="number">{signed(panel.total, 3)} = '
                f"{_symbol('v', name)}{bias}{_error(panel.error)}</td>"
                f'<td class="number">{probability:.1%}</td>{_moving(panel)}</tr>'
            )
    what = "Answer" if view.found.offset else "Class"
    return (
        f"<table><thead><tr><th>{what}</th><th>in</th><th>Sum</th><th>Probability</th>"
        f"<th>On moving pixels</th></tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


def _symbol(letter: str, name: str) -> str:
    return f'<span class="symbol">{letter}<sub>{SYMBOLS[name]}</sub></span>'


def _error(error: float | None) -> str:
    return "" if error is None else f' <span class="dim">sum error {small(error)}</span>'


def _moving(panel: Panel) -> str:
    area = f'<span class="dim">of {panel.moving:.0%}</span>'
    return f'<td class="number">{panel.on_moving:.0%} {area}</td>'


def _hint(selection: Selection) -> str:
    if not selection.display.has_places:
        return ""
    return f" Click a place of {C_I} to see its partners in {C_J}."
