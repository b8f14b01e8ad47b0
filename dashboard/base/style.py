"""What stands for a head on every page: symbol, colour, dash, note; and how numbers are written."""

NOTES = {
    "rsp": "relative speed",
    "avid": "appearance",
    "class1": "likeliest in c_i",
    "class2": "in c_j, or next",
    "margin": "pretext task",
    "answer": "likeliest in c_i",
}
# Of each kind that is not of the heads, what its rows are called before they are known.
WAITING = {
    "classifier": {"class1": "Class 1", "class2": "Class 2"},
    "task": {"margin": "Margin", "answer": "Answer"},
}
SYMBOLS = {"rsp": "m", "avid": "a", "class1": "1", "class2": "2", "margin": "1", "answer": "2"}
# Violet and green: neither of the map's own colours, and told apart by colour-blind readers, who
# also have the line's dashes.
COLOURS = {"rsp": "#b05cbb", "avid": "#0b8a66", "class1": "#c8366f", "class2": "#808080"}
DASHES = {"rsp": "solid", "avid": "dashed", "class1": "solid", "class2": "dashed"}
for _row, _like in (("margin", "class1"), ("answer", "class2")):
    COLOURS[_row], DASHES[_row] = COLOURS[_like], DASHES[_like]
PLAY_FPS = 10


def signed(value: float, digits: int = 3) -> str:
    """A number with its sign and a fixed number of digits, minus as a minus.

    Example:
        >>> signed(0.25, 2), signed(-0.25, 2)
        ('+0.25', '−0.25')
    """
    return f"{value:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def small(value: float) -> str:
    """A difference that should be next to nothing, in one digit.

    Example:
        >>> small(1.6e-8), small(0.0)
        ('2e−08', '0')
    """
    return f"{value:.0e}".replace("-", "\N{MINUS SIGN}") if value else "0"
