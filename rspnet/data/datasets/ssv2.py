"""Something-Something V2."""

import json
from pathlib import Path
from typing import Any

from rspnet.data.datasets.common import (
    Disk,
    Listing,
    Request,
    require_one_fold,
    require_split,
    shown,
    split_names,
    unique,
)
from rspnet.data.datasets.registry import register_dataset
from rspnet.registry import did_you_mean
from rspnet.text import read_text

HINT = (
    "the folder with something-something-v2-labels.json, ...-train.json and ...-validation.json "
    "(or labels.json, train.json and validation.json)"
)


@register_dataset(
    "ssv2", root="the folder 20bn-something-something-v2 of `<id>.webm` files", annotations=HINT
)
def list_ssv2(request: Request) -> Listing:
    """Something-Something V2."""
    require_one_fold(request)
    if request.split in split_names("test"):
        raise ValueError("the test list of ssv2 has no labels: use the split 'val'")
    split = require_split(request, "train", "val")
    if request.annotations is None:
        raise ValueError(f"ssv2 needs `annotations`: {HINT}")
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
                f"{labels_file.name}.{did_you_mean(template, labels)}"
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
            f"annotations of ssv2 are {HINT}"
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
