"""Names and bounds that code, tables and pages share. Imports nothing of the project."""

import operator
import reprlib
from typing import Any, Literal

# g_m, relative speed perception, and g_a, appearance-focused video instance discrimination.
HEADS = ("rsp", "avid")
HEAD_TITLES = {"rsp": "RSP", "avid": "A-VID"}
# The two clips of a pair, c_i and c_j.
Side = Literal["i", "j"]
SIDES: tuple[Side, Side] = ("i", "j")
# In place of the heads where the maps are a classifier's.
CLASS_ROWS = ("class1", "class2")
# In place of the heads where the maps are of a pretext task: a margin and a logit.
TASK_ROWS = ("margin", "answer")
# Of a clip. Far beyond any model of video: what is larger is a mistake or a damaged header.
MAX_FRAMES = MAX_SIZE = 4096


def check_whole(name: str, value: Any, most: int, least: int = 1) -> int:
    """A number as an int.

    Raises:
        ValueError: It is no whole number, less than ``least``, or more than ``most``.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if isinstance(value, bool) or not least <= number <= most:
        raise ValueError(
            f"{name} is a whole number from {least} to {most:,}, got {reprlib.repr(value)}"
        )
    return number
