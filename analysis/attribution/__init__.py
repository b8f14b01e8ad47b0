"""Kinds of maps: what in a clip makes a target score what it is, one kind a file."""
