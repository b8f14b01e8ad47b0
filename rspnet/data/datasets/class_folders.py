"""A folder of videos for each class."""

from rspnet.data.datasets.common import (
    SPLIT_NAMES,
    Listing,
    Request,
    require_one_fold,
    shown,
    split_names,
    subfolders,
    walk_videos,
)
from rspnet.data.datasets.registry import register_dataset


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
    known = [name for names in SPLIT_NAMES.values() for name in names]
    splits = [name for name in (*known, request.split) if (root / name).is_dir()]
    mine = [name for name in split_names(request.split) if name in splits]
    if not mine and (splits or not flat):
        there = shown(splits or subfolders(root))
        raise ValueError(
            f"{root} has no folder of the split {request.split!r}: expected "
            f"{' or '.join(split_names(request.split))}, found {there}"
        )
    start = root / mine[0] if mine else root
    # The same index for a class in all splits, also where one of them lacks it.
    places = [root / name for name in splits] or [root]
    classes = tuple(sorted({name for place in places for name in subfolders(place)}))
    prefix = f"{mine[0]}/" if mine else ""
    entries = [
        (f"{prefix}{label}/{folder}/{video}".replace("/./", "/"), label)
        for label in subfolders(start)
        for folder, videos in walk_videos(start / label)
        for video in videos
    ]
    if not entries:
        raise ValueError(f"no videos in class folders of {start}: expected {start}/<class>/*.mp4")
    return Listing(classes, sorted(entries), root.joinpath, start)
