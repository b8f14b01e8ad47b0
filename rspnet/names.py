"""What the two heads are called, for code, tables and pages alike. Imports nothing."""

# g_m, relative speed perception, and g_a, appearance-focused video instance discrimination.
HEADS = ("rsp", "avid")
HEAD_TITLES = {"rsp": "RSP", "avid": "A-VID"}
