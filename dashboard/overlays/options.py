"""Kinds of maps in words, and how maps are made and drawn: kind, cells, colour scale, opacity."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Kind:
    """A kind of map in words.

    Attributes:
        title: What the menu says.
        letter: Of the score that the map is of.
        unit: Of a cell's value.
        total: What the cells' values come to.
        text: One or two sentences, HTML.
        fine: Whether it is there on the finer grid.
        exact: Whether what the cells come to is the score itself.
    """

    title: str
    letter: str
    unit: str
    total: str
    text: str
    fine: bool = False
    exact: bool = True


_C = '<span class="symbol">c<sub>{}</sub></span>'
C_I, C_J = _C.format("i"), _C.format("j")
S = '<span class="symbol">s</span>'
AGAINST = (
    f"RSP sets {C_J} against the same video at another speed, A-VID against the clips of other "
    f"videos that are nearest to {C_I}. The map of {C_J} is of {S} itself"
)
KINDS = {
    "contribution": Kind(
        "Contribution",
        "s",
        "contribution to s, per cell",
        "Sum of contributions",
        f"Exact: all cells of a clip add up to the cosine similarity {S}.",
        fine=True,
    ),
    "eq2": Kind(
        "Eq. 2",
        "M",
        "Eq. 2, per cell",
        "Mean of the map",
        f"Eq. 2 as the paper has it: its mean is {S} without the norms and the heads' bias.",
    ),
    "margin": Kind(
        "Margin",
        "\N{GREEK CAPITAL LETTER DELTA}s",
        "margin, per cell",
        "Sum of contributions",
        f"What makes {C_I} nearer to {C_J} than to other clips. {AGAINST}.",
        fine=True,
    ),
    "still": Kind(
        "Margin less still",
        "\N{GREEK CAPITAL LETTER DELTA}s",
        "added by movement, per cell",
        "Sum of contributions",
        "What movement adds to the margin: its map less that of the same clip stopped at its "
        f"middle frame. {AGAINST}, less the still clip's.",
    ),
}
CAM = "cam"
# What Captum is asked about: s of both clips, or the margin of c_i.
OF = {"s": "s", "margin": "Margin"}
METHODS = ("layer_gradcam", "integrated_gradients", "occlusion", "feature_ablation")
OF_MARGIN = tuple(f"{method}_margin" for method in METHODS)
WITNESSES = METHODS + OF_MARGIN
# Kinds that set c_j against other clips.
MARGINS = ("margin", "still", *OF_MARGIN)


def _captum(letter: str, held: str) -> dict[str, Kind]:
    """What each method says of a score, by the method's name.

    Args:
        letter: Of the score.
        held: What stays as it is meanwhile.
    """
    of = f'<span class="symbol">{letter}</span>'
    witness = (
        f"Captum, which knows nothing of the exact maps, is asked what {of} owes to each cell, "
        f"with {held} held fixed. It answers another question, so that its map need not add up to "
        f"{of}"
    )
    words = {
        "layer_gradcam": (
            "LayerGradCAM",
            f"share of {letter}, per cell",
            "; LayerGradCAM's does, as features and gradients of the last layer, with the "
            "embedding's length held, are what the contributions are made of.",
        ),
        "integrated_gradients": (
            "Integrated gradients",
            f"share of the change of {letter}, per cell",
            ": the gradients on the way from a clip of one even colour, the clip's mean, come to "
            f"{of} less that clip's own, but for the error of the numerical integral.",
        ),
        "occlusion": (
            "Occlusion",
            f"mean drop of {letter}",
            ": a box of a cell's size, in the clip's mean colour, hides one part after another, "
            f"and each cell has the mean drop of {of} over its pixels.",
        ),
        "feature_ablation": (
            "Feature ablation",
            f"drop of {letter}",
            ": each cell's pixels in turn take the clip's mean colour, and the cell has the drop "
            f"of {of}.",
        ),
    }
    return {
        name: Kind(title, letter, unit, "Sum of the map", witness + text, exact=False)
        for name, (title, unit, text) in words.items()
    }


KINDS |= _captum("s", "the other clip")
KINDS |= {
    f"{name}_margin": replace(
        kind, title=f"{kind.title} of the margin", text=f"{kind.text} {AGAINST}."
    )
    for name, kind in _captum(KINDS["margin"].letter, "the other clips").items()
}
# One entry of the menu for all of Captum's methods; which of them is asked beside it.
CAPTUM = "captum"
SCALES = {"shared": "Shared", "head": "Per head", "map": "Per map"}
CELLS = {"smooth": "Smooth", "raw": "Raw cells", "fine": "Fine grid"}


@dataclass(frozen=True)
class Look:
    """How maps are made and drawn.

    Attributes:
        kind: Of :data:`KINDS`.
        scale: ``shared`` by both heads, one for each ``head``, or one for each ``map``.
        cells: ``smooth`` between cells, ``raw``, or ``fine`` by shifted clips.
        opacity: Of the strongest colour, 0 to 1.
    """

    kind: str = "contribution"
    scale: str = "shared"
    cells: str = "smooth"
    opacity: float = 0.75


def method_of(kind: str) -> str:
    """Captum's method behind one of :data:`WITNESSES`."""
    return kind.removesuffix("_margin")
