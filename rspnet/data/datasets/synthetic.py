"""Generated videos: see :mod:`rspnet.data.synthetic`."""

from rspnet.data.datasets.common import (
    Disk,
    Listing,
    Request,
    bad_line,
    check_relative,
    require_one_fold,
    require_split,
    unique,
)
from rspnet.data.datasets.registry import register_dataset


@register_dataset("synthetic", root="a folder made by `python -m rspnet.data.synthetic --out DIR`")
def list_synthetic(request: Request) -> Listing:
    """Generated videos; test videos show the last quarter of the actors."""
    from rspnet.data.synthetic.videos import ACTIONS, NUM_ACTORS, read_labels

    require_one_fold(request)
    split = require_split(request, "train", "test")
    if request.annotations is not None:
        raise ValueError(
            "synthetic videos have their labels in root/labels.csv: leave `annotations` out"
        )
    path = request.root / "labels.csv"
    entries = []
    for number, row in enumerate(read_labels(request.root), 2):
        relative = check_relative(path, number, row.get("path") or "")
        action, actor = row.get("action") or "", row.get("actor") or ""
        if action not in ACTIONS or not actor.isdecimal() or int(actor) >= NUM_ACTORS:
            raise bad_line(path, number, row, f"an action and an actor 0 to {NUM_ACTORS - 1}")
        is_test = int(actor) >= NUM_ACTORS - NUM_ACTORS // 4
        if is_test == (split == "test"):
            entries.append((relative, action))
    if not entries:
        raise ValueError(f"{path} lists no video of the split {split!r}: generate more videos")
    return Listing(ACTIONS, unique(entries), Disk(request.root).find, path)
