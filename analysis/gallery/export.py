"""A gallery for other tools: TensorBoard's projector and Embedding Atlas.

``tensorboard`` is a folder for ``tensorboard --logdir``: of each feature its vectors, with the
videos' files, classes, splits and middle frames. ``embedding_atlas`` is one Parquet file: a row a
video with the same, and of each feature its vector, its place on the first two principal components
and its nearest videos by cosine, so that Embedding Atlas computes nothing and shows what this
project shows.
"""

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
from rspnet.retrieval.gallery import Gallery

Pictures = NDArray[np.uint8]
SIDE = 64  # of a picture, in pixels
_MOST_SPRITE = 8192  # TensorBoard's largest sheet of pictures, in pixels
_NUM_NEIGHBOURS = 15
ATLAS_FILE = "gallery.parquet"


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
        near = [
            gallery.nearest(vector, feature, min(_NUM_NEIGHBOURS, len(gallery) - 1), exclude=path)
            for vector, path in zip(vectors, gallery.paths, strict=True)
        ]
        columns[f"{feature}_neighbors"] = [
            {"ids": [n.index for n in own], "distances": [1 - n.similarity for n in own]}
            for own in near
        ]
        columns[feature] = list(vectors)
    with atomic_path(file) as temporary:
        pq.write_table(pa.table(columns), temporary)
    return file


Writer = Callable[[Gallery, Path, Sequence[str], Pictures | None], Path]
WRITERS: dict[str, Writer] = {"tensorboard": to_tensorboard, "embedding_atlas": to_embedding_atlas}
