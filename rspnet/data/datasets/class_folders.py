"""A folder of videos for each class."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rspnet.data.datasets.common import (
    SPLIT_NAMES,
    Listing,
    Request,
    plain,
    require_one_fold,
    shown,
    split_names,
    subfolders,
)
from rspnet.data.datasets.registry import register_dataset
from rspnet.data.listing import VideoWalk, is_video
from rspnet.files import printable


@register_dataset(
    "folder",
    root="a folder with a folder of videos for each class, `root/<split>/<class>/**`, or "
    "`root/<class>/**`, which then is what any split gives",
)
def list_folder(request: Request) -> Listing:
    """Videos in folders named by their class."""
    return list_class_folders(request, flat=True)


def list_class_folders(request: Request, *, flat: bool) -> Listing:
    """Class folders below the folder of a split.

    Args:
        request: The split and where it is.
        flat: Take ``root/class`` where root has no folder of any split.
    """
    require_one_fold(request)
    root = request.root
    if request.annotations is not None:
        raise ValueError(
            f"{request.name} takes labels from the names of folders, got annotations "
            f"{request.annotations}: leave them out, or name the data set that they belong to"
        )
    below = subfolders(root)
    splits = _split_folders(root, below, request.split)
    mine = [name for key in split_names(request.split) for name in splits if splits[name] == key]
    if not mine and (splits or not flat):
        raise ValueError(
            f"{root} has no folder of the split {request.split!r}: expected "
            f"{' or '.join(split_names(request.split))}, found {shown(list(splits) or below)}"
        )
    start = root / mine[0] if mine else root
    # The same index for a class in all splits, also where one of them lacks it.
    labels = {place: subfolders(root / place) for place in splits or ["."]}
    twins = _check_spelling(root, labels)
    classes = tuple(sorted({printable(name) for names in labels.values() for name in names}))
    prefix = f"{mine[0]}/" if mine else ""
    walk, entries, loose = VideoWalk(start), [], 0
    for folder, videos in walk:
        if folder == ".":
            loose = len(videos)
        else:
            label = printable(folder.partition("/")[0])
            entries += [(f"{prefix}{folder}/{video}", label) for video in videos]
    if not entries:
        raise ValueError(
            f"no videos in class folders of {start}: expected {start}/<class>/*.mp4. "
            f"{walk.sentence()}".rstrip()
        )
    beside = [name for name in below if splits and name not in (*splits, *mine[1:])]
    said = [
        walk.sentence(),
        f"videos that lie in no class folder: {loose}" if loose else "",
        f"folders beside those of the splits: {shown(beside)}" if beside else "",
        f"more folders of the same split: {shown(mine[1:])}" if mine[1:] else "",
        twins,
    ]
    return Listing(classes, sorted(entries), root.joinpath, start, "; ".join(filter(None, said)))


def _split_folders(root: Path, below: Sequence[str], split: str) -> dict[str, str]:
    """Folders of splits, with the name of the split that each is.

    A class may be called "test": its folder holds videos and no folders of classes.
    """
    known = [name for names in SPLIT_NAMES.values() for name in names]
    named = {n: key for key in (*known, split) for n in below if key in (n, n.casefold())}
    holding = {name for name in named if subfolders(root / name)}

    def is_split(name: str) -> bool:
        empty = not any(is_video(path.name) for path in (root / name).iterdir())
        return name in holding or (bool(holding) and empty)

    return {name: key for name, key in named.items() if is_split(name)}


def _check_spelling(root: Path, labels: Mapping[str, Sequence[str]]) -> str:
    """Refuse a class that two splits spell differently; say which classes of one are nearly one.

    Raises:
        ValueError: It would be two classes, one without training videos, one without test videos.
    """
    spellings: dict[str, dict[str, set[str]]] = {}
    for place, names in labels.items():
        for name in names:
            spellings.setdefault(plain(name), {}).setdefault(name, set()).add(place)
    twins = [found for found in spellings.values() if len(found) > 1]
    for found in twins:
        (one, here), (other, there), *_ = found.items()
        if not here & there:
            raise ValueError(
                f"{root / min(here) / one} and {root / min(there) / other} differ in case, spaces "
                "or punctuation only, and would be two classes: give both folders one name"
            )
    names = [" and ".join(found) for found in twins]
    return (
        f"classes that differ in case, spaces or punctuation only: {shown(names)}" if names else ""
    )
