"""The registry of labelled data sets: each registers its reader, in a file of this folder."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from rspnet.data.datasets.common import Listing, Request
from rspnet.registry import Registry, first_sentence

R = TypeVar("R", bound=Callable[[Request], Listing])


@dataclass(frozen=True)
class DatasetEntry:
    """A registered data set.

    Attributes:
        name: As in ``--data.name``.
        read: Lists the videos of a split.
        root: What the folder of videos is.
        annotations: What the annotations are, empty where there are none.
        root_optional: The folder of the annotations stands in where no root is given.
        description: One line.
    """

    name: str
    read: Callable[[Request], Listing]
    root: str
    annotations: str
    root_optional: bool
    description: str


DATASETS: Registry[DatasetEntry] = Registry("data set", "rspnet.data.datasets")


def register_dataset(
    name: str, *, root: str, annotations: str = "", root_optional: bool = False
) -> Callable[[R], R]:
    """Register the reader of a data set.

    A reader gets a :class:`~rspnet.data.datasets.common.Request` and answers with a
    :class:`~rspnet.data.datasets.common.Listing`. The first line of its docstring describes the
    data set in lists.

    Args:
        name: As in ``--data.name``.
        root: What the folder of videos is, for messages and lists.
        annotations: What the annotations are; empty where the data set has none.
        root_optional: The folder of the annotations stands in where no root is given.

    Raises:
        ValueError: The name is taken.

    Example:
        >>> from rspnet.data.datasets.common import Disk
        >>> from rspnet.data.datasets.registry import DATASETS, register_dataset
        >>> @register_dataset("single", root="a folder that holds clip.mp4")
        ... def list_single(request):
        ...     '''One clip of one class.'''
        ...     find = Disk(request.root).find
        ...     return Listing(("walk",), [("clip.mp4", "walk")], find, request.root)
        >>> DATASETS["single"].description
        'One clip of one class'
        >>> DATASETS.remove("single")
    """

    def register(read: R) -> R:
        description = first_sentence(read)
        entry = DatasetEntry(name, read, root, annotations, root_optional, description)
        DATASETS.add(name, entry)
        return read

    return register


def dataset_table() -> str:
    """All data sets as the rows of a Markdown table: root and annotations."""
    rows = ["| name | | `root` | `annotations` |", "| --- | --- | --- | --- |"]
    for entry in map(DATASETS.__getitem__, DATASETS):
        cells = (f"`{entry.name}`", entry.description, entry.root, entry.annotations or "none")
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)
