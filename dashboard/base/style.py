"""What stands for a head on every page, and how numbers are written, as on offline pages."""

from analysis.figures.viewer.rows import COLOURS as COLOURS
from analysis.figures.viewer.rows import DASHES as DASHES
from analysis.figures.viewer.rows import NOTES as NOTES
from analysis.figures.viewer.rows import PLAY_FPS as PLAY_FPS
from analysis.figures.viewer.rows import SYMBOLS as SYMBOLS
from analysis.figures.viewer.rows import signed as signed
from analysis.figures.viewer.rows import small as small

# Of each kind that is not of the heads, what its rows are called before they are known.
WAITING = {
    "classifier": {"class1": "Class 1", "class2": "Class 2"},
    "task": {"margin": "Margin", "answer": "Answer"},
}
