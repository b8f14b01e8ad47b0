"""Names that code, tables and pages share. Imports nothing of the project."""

from typing import Literal

# g_m, relative speed perception, and g_a, appearance-focused video instance discrimination.
HEADS = ("rsp", "avid")
HEAD_TITLES = {"rsp": "RSP", "avid": "A-VID"}
# The two clips of a pair, c_i and c_j.
Side = Literal["i", "j"]
SIDES: tuple[Side, Side] = ("i", "j")
# In place of the heads where the maps are a classifier's.
CLASS_ROWS = ("class1", "class2")
