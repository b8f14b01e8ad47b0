"""Kinetics and Something-Something V2."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rspnet.data.datasets.common import (
    Disk,
    Listing,
    Request,
    bad_line,
    nearest,
    plain,
    read_text,
    require_one_fold,
    require_split,
    shown,
    split_names,
    unique,
    walk_videos,
)
from rspnet.data.datasets.tables import list_class_folders, read_table

SSV2_HINT = (
    "the folder with something-something-v2-labels.json, ...-train.json and ...-validation.json "
    "(or labels.json, train.json and validation.json)"
)


def list_kinetics(request: Request) -> Listing:
    """Kinetics by its official CSV, or by class folders where there is none."""
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
        # A file without that column is taken for the list of the split that is asked for.
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
        for folder, videos in walk_videos(root, max_depth=2):
            for video in videos:
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
            found = {plain(folder): (folder, video) for folder, video in self.by_stem.get(stem, [])}
            for folder in folders:
                if folder in found:
                    return self.root.joinpath(*found[folder])
        return None


def list_ssv2(request: Request) -> Listing:
    """Something-Something V2: ``root/<id>.webm``."""
    require_one_fold(request)
    if request.split in split_names("test"):
        raise ValueError("the test list of ssv2 has no labels: use the split 'val'")
    split = require_split(request, "train", "val")
    if request.annotations is None:
        raise ValueError(f"ssv2 needs `annotations`: {SSV2_HINT}")
    labels_file = _one_file(request.annotations, "labels.json")
    labels = _read_json(labels_file, dict)
    try:
        order = sorted(labels, key=lambda label: int(labels[label]))
    except (TypeError, ValueError):
        raise ValueError(f'{labels_file}: expected {{"template": "index", ...}}') from None
    list_file = _one_file(
        request.annotations, "train.json" if split == "train" else "validation.json"
    )
    entries = []
    for number, entry in enumerate(_read_json(list_file, list), 1):
        if not isinstance(entry, dict) or not {"id", "template"} <= entry.keys():
            raise ValueError(
                f"{list_file}, entry {number}: got {entry!r}, "
                'expected {"id": "74225", "template": "Spinning [something]", ...}'
            )
        video, template = str(entry["id"]), str(entry["template"])
        template = template.replace("[", "").replace("]", "")
        if template not in labels:
            raise ValueError(
                f"{list_file}, entry {number}: template {template!r} is not in "
                f"{labels_file.name}.{nearest(template, labels)}"
            )
        if not video or video.startswith(".") or set(video) & set("/\\\0:"):
            raise ValueError(
                f"{list_file}, entry {number}: id {video!r} is no name of a file without suffix"
            )
        entries.append((f"{video}.webm", template))
    return Listing(tuple(order), unique(entries), Disk(request.root).find, list_file)


def _one_file(folder: Path, ending: str) -> Path:
    found = []
    if folder.is_dir():
        found = sorted(
            path
            for path in folder.iterdir()
            if path.name.endswith(ending) and not path.name.startswith(".")
        )
    if len(found) != 1:
        raise ValueError(
            f"{folder} has {shown([p.name for p in found])} for *{ending}, expected one file: "
            f"annotations of ssv2 are {SSV2_HINT}"
        )
    return found[0]


def _read_json(path: Path, kind: type) -> Any:
    try:
        content = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}, line {error.lineno}: not JSON: {error.msg}") from error
    if not isinstance(content, kind):
        raise ValueError(f"{path} holds a {type(content).__name__}, expected a {kind.__name__}")
    return content
