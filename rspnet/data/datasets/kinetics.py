"""Kinetics by its official CSV, or by class folders."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rspnet.data.datasets.class_folders import list_class_folders
from rspnet.data.datasets.common import (
    Listing,
    Request,
    bad_line,
    plain,
    require_one_fold,
    require_split,
    shown,
    split_names,
    unique,
)
from rspnet.data.datasets.csv_table import read_table
from rspnet.data.datasets.registry import register_dataset
from rspnet.data.listing import VideoWalk, is_common


@register_dataset(
    "kinetics",
    root="the folder of Kinetics' videos, `<id>_000010_000020.mp4` or `<id>.mp4`, in "
    "`root/<split>/<label>/`, `root/<label>/`, `root/<split>/` or `root/`; folders of labels may "
    "differ in case, spaces and punctuation",
    annotations="the official CSV (label, youtube_id, time_start, time_end, split), or none: "
    "class folders",
)
def list_kinetics(request: Request) -> Listing:
    """Kinetics of any size."""
    require_one_fold(request)
    require_split(request, "train", "val", "test")
    if request.annotations is None:
        return list_class_folders(request, flat=False)
    rows = read_table(request.annotations, ("label", "youtube_id", "time_start", "time_end"))
    names = split_names(request.split)
    labels, entries, splits = set(), [], set()
    for number, row in rows:
        label, video = row["label"], row["youtube_id"]
        if not label or not video or "/" in video:
            raise bad_line(request.annotations, number, row, "a label and a youtube_id")
        try:
            start, end = (round(float(row[key])) for key in ("time_start", "time_end"))
        except ValueError:
            raise bad_line(request.annotations, number, row, "times in seconds") from None
        labels.add(label)
        # A file without that column is taken for the list of the requested split.
        split = row.get("split", request.split).lower()
        splits.add(split)
        if split in names:
            relative = f"{request.split}/{label}/{video}_{start:06d}_{end:06d}.mp4"
            entries.append((relative, label))
    if not entries:
        raise ValueError(
            f"{request.annotations} lists no video of the split {request.split!r}, "
            f"only of {shown(sorted(splits))}"
        )
    files = _KineticsFiles.index(request.root, names)
    return Listing(tuple(sorted(labels)), unique(entries), files.find, request.annotations)


@dataclass(frozen=True)
class _KineticsFiles:
    """Where the videos of a split lie, from one walk: 240,000 files are too many to try out."""

    root: Path
    names: tuple[str, ...]
    by_stem: Mapping[str, list[tuple[str, str]]]

    @classmethod
    def index(cls, root: Path, names: tuple[str, ...]) -> "_KineticsFiles":
        by_stem: dict[str, list[tuple[str, str]]] = {}
        for folder, videos in VideoWalk(root, max_depth=2):
            for video in sorted(videos, key=is_common):  # the last is taken
                by_stem.setdefault(Path(video).stem, []).append((folder, video))
        return cls(root, names, by_stem)

    def find(self, relative: str) -> Path | None:
        # As list_kinetics writes it: split/label/id_start_end.mp4
        label, _, name = relative.partition("/")[2].rpartition("/")
        label, trimmed = plain(label), name.removesuffix(".mp4")
        folders = [
            *(f"{split}/{label}" for split in self.names),
            label,
            *self.names,
            ".",
        ]
        for stem in (trimmed, trimmed.rsplit("_", 2)[0]):
            found = {
                "/".join(map(plain, folder.split("/"))): (folder, video)
                for folder, video in self.by_stem.get(stem, [])
            }
            for folder in folders:
                if folder in found:
                    return self.root.joinpath(*found[folder])
        return None
