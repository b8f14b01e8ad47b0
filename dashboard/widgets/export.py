"""The panel that hands out what a page shows: figure, clip, data, and the commands for them."""

import shlex
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from dashboard.base.arguments import Arguments, shown_path
from dashboard.services import temporary
from rspnet.files import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MIMES = {
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".pdf": "application/pdf",
    ".mp4": "video/mp4",
    ".npz": "application/octet-stream",
    ".csv": "text/csv",
    ".json": "application/json",
    ".html": "text/html",
}


# matplotlib's style is one for the whole process.
_DRAWING = threading.Lock()


@dataclass(frozen=True)
class File:
    """A file to be downloaded.

    Attributes:
        group: What stands before its button: ``Page``, ``Figure``, ``Clip`` or ``Data``.
        name: Its name; the ending says what it is.
        make: Its content. Called when the visitor downloads it, in a thread of its own.
        label: What the button says; nothing for the ending.
    """

    group: str
    name: str
    make: Callable[[], bytes]
    label: str = ""


@dataclass(frozen=True)
class Command:
    """A command line that gives the same again.

    Attributes:
        title: What it gives.
        words: The command, word by word.
    """

    title: str
    words: tuple[str, ...]

    @property
    def line(self) -> str:
        """As one types it; every word quoted where a shell needs it."""
        return " ".join(_quoted(word) for word in self.words)


def _quoted(word: str) -> str:
    if printable(word) == word:
        return shlex.quote(word)
    # Bytes that are not UTF-8, as bash and zsh read them.
    return "$'" + printable(word.replace("\\", "\\\\").replace("'", "\\'")) + "'"


def panel(key: str, files: Sequence[File], commands: Sequence[Command]) -> None:
    """Draw the panel.

    Args:
        key: Tells this page's buttons from others.
        files: To be downloaded, in the order of their groups.
        commands: To be copied.
    """
    with st.expander("Export", icon=":material/download:"), st.container(key=f"export_{key}"):
        for group in dict.fromkeys(file.group for file in files):
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.html(f'<span class="export-group">{group}</span>', width="content")
                for file in files:
                    if file.group == group:
                        _button(key, file)
        for command in commands:
            st.html(f'<span class="export-group">{command.title}</span>')
            st.code(command.line, language="bash", wrap_lines=True)


def _button(key: str, file: File) -> None:
    ending = Path(file.name).suffix
    st.download_button(
        file.label or ending[1:].upper(),
        file.make,
        file_name=file.name,
        mime=MIMES[ending],
        key=f"export_{key}_{file.name}",
        on_click="ignore",
    )


def written(ending: str, write: Callable[[Path], object]) -> bytes:
    """What a function writes to a file, as bytes.

    Args:
        ending: Of the file, such as ``.pdf``.
        write: Writes the file under the path that it is given.
    """
    with tempfile.TemporaryDirectory(dir=temporary.folder()) as folder:
        path = Path(folder) / f"file{ending}"
        write(path)
        return path.read_bytes()


def figure_files(
    name: str, draw: Callable[[], "Figure"], title: str = "", command: str = ""
) -> list[File]:
    """A figure as PNG, SVG and PDF in the style of printed figures.

    Args:
        name: Of the files, without ending.
        draw: Draws it; called when the visitor downloads one.
        title: What it shows, for the files' own record.
        command: What makes it again, for the same record.
    """

    def maker(ending: str) -> Callable[[], bytes]:
        def make() -> bytes:
            from analysis.figures.style import save

            with _DRAWING:
                return written(
                    ending, lambda path: save(draw(), path, title=title, command=command)
                )

        return make

    return [File("Figure", f"{name}{end}", maker(end)) for end in (".png", ".svg", ".pdf")]


def app_command(arguments: Arguments, model: Path) -> Command:
    """The command that starts the app on the same videos and model."""
    words = ["streamlit", "run", "dashboard/app.py", "--"]
    if arguments.videos is not None:
        words += ["--videos", shown_path(arguments.videos)]
    if arguments.runs is not None:
        words += ["--runs", shown_path(arguments.runs)]
    if arguments.report is not None:
        words += ["--report", shown_path(arguments.report)]
    words += ["--model", shown_path(model), "--num_videos", str(arguments.num_videos)]
    return Command("This app", tuple(words))
