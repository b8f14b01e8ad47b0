"""Galleries of any size, as the app would have left them: drawn vectors, a few videos' files."""

import itertools
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dashboard.base.arguments import Arguments, cache_folder
from dashboard.services import embeddings, galleries, models
from rspnet.models.heads import EMBEDDING_DIM
from rspnet.retrieval.gallery import FEATURES, Gallery, Vectors

NUM_A_CLASS = 100
SPREAD = 0.8
SEED = 0


@dataclass(frozen=True, kw_only=True)
class Made:
    """A gallery that was made.

    Attributes:
        root: Folder of its videos.
        gallery: What the app will load.
    """

    root: Path
    gallery: Gallery

    def title(self, row: int) -> str:
        """What menus show of a video."""
        path = self.gallery.paths[row].relative_to(self.root)
        return path.with_suffix("").as_posix()

    def nearest(self, row: int, feature: str, num: int) -> list[str]:
        """Titles of the videos that are nearest to one."""
        found = self.gallery
        vector, own = found.vectors[feature][row], found.paths[row]
        return [self.title(n.index) for n in found.nearest(vector, feature, num, exclude=own)]


def make_gallery(root: Path, num: int, files: Sequence[Path], arguments: Arguments) -> Made:
    """A folder of videos, and their vectors where the app finds them.

    The vectors are drawn: each class around a centre of its own. The files are links to a few
    real ones, so that they can be opened; to the app each is another video.

    Args:
        root: The folder; it is made.
        num: Number of videos, :data:`NUM_A_CLASS` a class.
        files: Video files of the same file system, which take turns.
        arguments: Of the app; its first model is the vectors'.
    """
    for n, file in zip(range(num), itertools.cycle(files), strict=False):
        path = root / f"class{n // NUM_A_CLASS:03d}" / f"v{n:05d}{file.suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(file, path)
    # The app's list of a folder is held only once the folder has rested.
    time.sleep(galleries.SETTLED_NS / 1e9)
    source = galleries.open_source(galleries.OWN, Arguments(videos=root, model=arguments.model))
    loaded = models.load(models.list_choices(arguments)[0])
    rng = np.random.default_rng(SEED)
    sizes = dict.fromkeys(FEATURES, EMBEDDING_DIM) | {"backbone": loaded.query.num_features}
    labels = tuple(video.label for video in source.videos)
    protocol = embeddings.protocol(loaded.query)
    made = Gallery(
        paths=tuple(video.path for video in source.videos),
        labels=labels,
        vectors={name: _draw(rng, labels, sizes[name]) for name in FEATURES},
        model_hash=loaded.query.hash,
        protocol=protocol,
        clip_starts=(tuple(range(protocol.num_clips)),) * len(labels),
    )
    made.save(cache_folder() / "galleries" / embeddings.key_of(source, loaded))
    return Made(root=root, gallery=made)


def _draw(rng: np.random.Generator, labels: Sequence[str], size: int) -> Vectors:
    """Unit vectors, (N, size): those of a label around one direction."""
    known = {label: n for n, label in enumerate(dict.fromkeys(labels))}
    centres = rng.normal(size=(len(known), size))
    own = centres[[known[label] for label in labels]]
    vectors = (own + SPREAD * rng.normal(size=own.shape)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors
