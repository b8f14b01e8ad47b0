"""A gallery for other tools: TensorBoard's projector, Embedding Atlas and FiftyOne.

``tensorboard`` is a folder for ``tensorboard --logdir``: of each feature its vectors, with the
videos' files, classes, splits and middle frames. ``embedding_atlas`` is one Parquet file: a row a
video with the same, and of each feature its vector, its place on the first two principal components
and its nearest videos by cosine, so that Embedding Atlas computes nothing and shows what this
project shows. ``fiftyone`` is a folder in FiftyOne's own format, a sample a video, with the same.
"""

import base64
import hashlib
import io
import json
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from analysis.gallery.projection import pca
from rspnet.data.transforms import eval_frames
from rspnet.data.video.reader import VideoError, VideoReader
from rspnet.files import atomic_path
from rspnet.retrieval.gallery import Gallery, Neighbour

Pictures = NDArray[np.uint8]
SIDE = 64  # of a picture, in pixels
_MOST_SPRITE = 8192  # TensorBoard's largest sheet of pictures, in pixels
_NUM_NEIGHBOURS = 15
ATLAS_FILE = "gallery.parquet"
_FIFTYONE_VERSION = "1.0.0"  # of its schema; a newer FiftyOne brings it up to date by itself


def middle_frames(paths: Sequence[Path], side: int = SIDE) -> tuple[Pictures, dict[Path, str]]:
    """The middle frame of each video, (N, side, side, 3), and why some are grey instead."""
    pictures = np.full((len(paths), side, side, 3), 128, np.uint8)
    missing = {}
    for picture, path in zip(pictures, paths, strict=True):
        try:
            with VideoReader(path) as reader:
                picture[:] = eval_frames(reader.get_frames([len(reader) // 2]), side)[0]
        except VideoError as error:
            missing[path] = str(error)
    return pictures, missing


def _columns(gallery: Gallery) -> dict[str, list[str]]:
    """What is known of the videos but for their vectors."""
    found = {
        "name": [path.stem for path in gallery.paths],
        "label": list(gallery.labels),
        "path": list(map(str, gallery.paths)),
    }
    return found | ({"split": list(gallery.splits)} if gallery.splits else {})


def _nearest(gallery: Gallery, feature: str) -> list[list[Neighbour]]:
    """Of each video its nearest others by a feature."""
    num = min(_NUM_NEIGHBOURS, len(gallery) - 1)
    return [
        gallery.nearest(vector, feature, num, exclude=path)
        for vector, path in zip(gallery.vectors[feature], gallery.paths, strict=True)
    ]


def to_tensorboard(
    gallery: Gallery, out: Path, features: Sequence[str], pictures: Pictures | None
) -> Path:
    """Write the folder of TensorBoard's projector.

    Raises:
        ValueError: The folder holds something already, or there are too many videos for pictures.
    """
    import torch
    from torch.utils.tensorboard import SummaryWriter

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} exists: give --out a new folder, as TensorBoard shows all in it")
    columns = _columns(gallery)
    most = (_MOST_SPRITE // SIDE) ** 2
    if pictures is not None and len(pictures) > most:
        raise ValueError(
            f"TensorBoard shows pictures of at most {most:,} videos, the gallery has "
            f"{len(pictures):,}: leave them out with --pictures false"
        )
    # Tabs and line ends would end a cell.
    rows = [
        [" ".join(cell.split()) or "-" for cell in row]
        for row in zip(*columns.values(), strict=True)
    ]
    images = None if pictures is None else torch.from_numpy(pictures).permute(0, 3, 1, 2) / 255
    with SummaryWriter(str(out)) as writer:
        for feature in features:
            writer.add_embedding(
                torch.from_numpy(gallery.vectors[feature]),
                rows,
                images,
                tag=feature,
                metadata_header=list(columns),
            )
    return out


def to_embedding_atlas(
    gallery: Gallery, out: Path, features: Sequence[str], pictures: Pictures | None
) -> Path:
    """Write the Parquet file for Embedding Atlas.

    Raises:
        ValueError: There is one already.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = out / ATLAS_FILE
    if file.exists():
        raise ValueError(f"{file} exists: give --out another folder")
    columns: dict[str, Any] = dict(_columns(gallery))
    if pictures is not None:
        encoded = (cv2.imencode(".png", picture[..., ::-1])[1].tobytes() for picture in pictures)
        columns["frame"] = [{"bytes": data, "path": None} for data in encoded]
    for feature in features:
        vectors = gallery.vectors[feature]
        points, _ = pca(vectors)
        columns |= {f"{feature}_x": points[:, 0], f"{feature}_y": points[:, 1]}
        columns[f"{feature}_neighbors"] = [
            {"ids": [n.index for n in own], "distances": [1 - n.similarity for n in own]}
            for own in _nearest(gallery, feature)
        ]
        columns[feature] = list(vectors)
    with atomic_path(file) as temporary:
        pq.write_table(pa.table(columns), temporary)
    return file


def _id(*words: object) -> dict[str, str]:
    """An object's identifier, always the same for the same words."""
    return {"$oid": hashlib.sha256("\0".join(map(str, words)).encode()).hexdigest()[:24]}


def _binary(vector: NDArray[np.floating]) -> dict[str, Any]:
    """A vector as FiftyOne stores it: NumPy's file format, compressed."""
    held = io.BytesIO()
    np.save(held, vector, allow_pickle=False)
    data = base64.b64encode(zlib.compress(held.getvalue())).decode()
    return {"$binary": {"base64": data, "subType": "00"}}


def _field(name: str, kind: str, holds: str | None = None) -> dict[str, Any]:
    """A field of FiftyOne's schema; ``holds`` is the kind in a list, or the kind of label."""
    of_list = kind == "ListField"
    return {
        "name": name,
        "db_field": "_id" if name == "id" else name,
        "ftype": f"fiftyone.core.fields.{kind}",
        "subfield": f"fiftyone.core.fields.{holds}" if of_list else None,
        "embedded_doc_type": f"fiftyone.core.labels.{holds}" if holds and not of_list else None,
        "fields": [],
    }


def to_fiftyone(
    gallery: Gallery, out: Path, features: Sequence[str], pictures: Pictures | None
) -> Path:
    """Write the folder for ``fiftyone.Dataset.from_dir`` with the type ``FiftyOneDataset``.

    FiftyOne plays the videos themselves, so no pictures are written.

    Raises:
        ValueError: The folder holds something already.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} exists: give --out a new folder")
    ids = [_id(path) for path in gallery.paths]
    splits = gallery.splits or [""] * len(gallery)
    samples: list[dict[str, Any]] = [
        {
            "_id": own,
            "_media_type": "video",
            "filepath": str(path.absolute()),
            "tags": [split] if split else [],
        }
        for own, path, split in zip(ids, gallery.paths, splits, strict=True)
    ]
    for sample, path, label in zip(samples, gallery.paths, gallery.labels, strict=True):
        about = {"_id": _id(path, "label"), "_cls": "Classification", "tags": [], "label": label}
        sample["ground_truth"] = about if label else None
    fields = [
        _field("id", "ObjectIdField"),
        _field("filepath", "StringField"),
        _field("tags", "ListField", "StringField"),
        _field("ground_truth", "EmbeddedDocumentField", "Classification"),
    ]
    for feature in features:
        vectors = gallery.vectors[feature]
        points, _ = pca(vectors)
        found = zip(samples, vectors, points, _nearest(gallery, feature), strict=True)
        for sample, vector, (x, y), near in found:
            held: dict[str, Any] = {
                feature: _binary(vector),
                f"{feature}_x": float(x),
                f"{feature}_y": float(y),
                f"{feature}_neighbors": [ids[n.index] for n in near],
            }
            sample |= held
        fields += [
            _field(feature, "VectorField"),
            _field(f"{feature}_x", "FloatField"),
            _field(f"{feature}_y", "FloatField"),
            _field(f"{feature}_neighbors", "ListField", "ObjectIdField"),
        ]
    schema = {"version": _FIFTYONE_VERSION, "media_type": "video", "sample_fields": fields}
    # The samples last: a folder with them is whole.
    for name, value in (("metadata", schema), ("samples", {"samples": samples})):
        with atomic_path(out / f"{name}.json") as temporary:
            temporary.write_text(json.dumps(value))
    return out


Writer = Callable[[Gallery, Path, Sequence[str], Pictures | None], Path]
WRITERS: dict[str, Writer] = {
    "tensorboard": to_tensorboard,
    "embedding_atlas": to_embedding_atlas,
    "fiftyone": to_fiftyone,
}
