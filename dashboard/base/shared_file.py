"""A file that all who use a folder share, read anew each time and changed by one at a time.

What a person or another app writes into it counts, and one that can't be read stays as it is.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from rspnet.commands.run import describe_os_error
from rspnet.files import atomic_path, printable
from rspnet.text import read_text

T = TypeVar("T")
_writing = threading.Lock()


@dataclass(frozen=True)
class SharedFile(Generic[T]):
    """What such a file holds.

    Attributes:
        name: Of the file.
        thing: What it holds many of, in the singular: ``mark``.
        parse: What it holds, from its text, which is not empty.
        dump: The inverse.
        empty: What a folder without the file holds.
    """

    name: str
    thing: str
    parse: Callable[[str], T]
    dump: Callable[[T], bytes]
    empty: Callable[[], T]

    def read(self, folder: Path) -> T:
        """What the file of a folder holds, in the order it was written.

        Raises:
            ValueError: It can't be read.
        """
        path = folder / self.name
        if not path.is_file():
            return self.empty()
        try:
            return self.parse(read_text(path))
        except ValueError as error:
            raise ValueError(
                f"{self.thing}s can't be shown or kept: {printable(path)}: {error}. Mend the file "
                "or move it away; it stays as it is until then"
            ) from error

    def change(self, folder: Path, edit: Callable[[T], object]) -> None:
        """Change what it holds.

        Args:
            folder: Where it lies; it is made if it is not there.
            edit: Changes what it holds in place.

        Raises:
            ValueError: It can't be read or written, or would hold what can't be read again.
        """
        with _writing:
            found = self.read(folder)
            edit(found)
            data = self.dump(found)
            self.parse(data.decode())
            try:
                with atomic_path(folder / self.name) as temporary:
                    temporary.write_bytes(data)
            except OSError as error:
                raise ValueError(
                    f"the {self.thing} can't be kept: {describe_os_error(error)}"
                ) from error
