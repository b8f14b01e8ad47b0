"""Places in a clip: boxes and tracks of maps, and what moves in its pixels."""
