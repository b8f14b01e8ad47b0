"""What figures are made of: a pair of clips with its negatives, and the videos nearest to one.

Both come from files of one's own or, without any, from generated videos
(:mod:`rspnet.data.synthetic.videos`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from analysis.attribution.pair_clips import NUM_HARD_NEGATIVES, PairClips
from analysis.core.clip import StoredFrames, View, load_view
from analysis.core.models import is_function, load_branches
from rspnet.data.sampling import clip_indices, clip_span, even_starts
from rspnet.data.synthetic.videos import render_video, video_name
from rspnet.data.transforms import FrameReader, eval_clips, eval_frames
from rspnet.data.video.reader import VideoReader
from rspnet.files import label_of
from rspnet.models import Branch
from rspnet.names import HEADS
from rspnet.pretext.task import load_task
from rspnet.recognition.classifier import load_classifier
from rspnet.retrieval.gallery import FEATURES, Gallery, Protocol, Vectors, embed_video, protocol_for
from rspnet.retrieval.vectors import Views, embed_views

Frame = NDArray[np.uint8]
Frames = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A video that was retrieved.

    Attributes:
        frame: Its middle frame, (size, size, 3).
        label: Its class.
        similarity: Cosine to the query.
        correct: Whether it is of the query's class; None if that class is not known.
    """

    frame: Frame
    label: str
    similarity: float
    correct: bool | None


@dataclass(frozen=True, kw_only=True)
class Retrieval:
    """A query and the videos nearest to it.

    Attributes:
        frame: The query's middle frame.
        label: The query's class, empty if not known.
        hits: By feature, the nearest first.
        num_videos: How many videos were searched.
        what: What videos these are.
        protocol: How a video became a vector.
    """

    frame: Frame
    label: str
    hits: dict[str, tuple[Hit, ...]]
    num_videos: int
    what: str
    protocol: Protocol


@dataclass(frozen=True)
class Generated(StoredFrames):
    """A generated video as a source of frames."""

    label: str
    name: str

    @classmethod
    def make(cls, seed: int, index: int) -> "Generated":
        """Render one, named as :mod:`rspnet.data.synthetic.videos` names its files."""
        video = render_video(seed, index)
        return cls(video.frames, str(video.labels["action"]), video_name(seed, index))


def _both(values: Sequence[float | None] | None, name: str) -> tuple[float | None, float | None]:
    if not values:
        return None, None
    if len(values) > 2:
        raise ValueError(f"{name} is one number for both clips or two, got {len(values)}")
    return values[0], values[-1]


def load_views(
    model: str | Path = "default",
    video_i: str | Path | None = None,
    video_j: str | Path | None = None,
    *,
    start: Sequence[int | None] | None = None,
    speed: Sequence[float] | None = None,
    size: int | None = None,
    seed: int = 0,
) -> tuple[Branch, Branch, View, View]:
    """Load both branches of a model and two clips.

    Args:
        model: See :mod:`analysis.core.models`.
        video_i: Video of c_i; nothing for a generated one.
        video_j: Video of c_j; nothing for that of c_i, as in a positive pair of training.
        start: First frame, one for both clips or one each. Nothing: of one video the first and the
            last clip, of two videos the middle one of each.
        speed: Playback speed, one for both or one each; nothing for 1.
        size: Height and width in pixels; nothing for the model's. A larger one gives more cells.
        seed: Of the generated video.

    Raises:
        ValueError: The model or a video can't be read, or a clip does not lie inside its video.
    """
    start_i, start_j = _both(start, "start")
    speed_i, speed_j = (value if value is not None else 1.0 for value in _both(speed, "speed"))
    if video_i is None and video_j is not None:
        raise ValueError("a video for c_j was given and none for c_i: give --video_i as well")
    if size is not None and size < 1:
        raise ValueError(f"size is a positive number of pixels, got {size}")
    query, key = load_branches(model)
    sources: list[str | Path | Generated]
    sources = [Generated.make(seed, 0)] * 2 if video_i is None else [video_i, video_j or video_i]
    num_clips = 2 if video_j is None or str(video_j) == str(video_i) else 1
    num_frames, views = query.num_frames, []
    chosen = ((start_i, speed_i), (start_j, speed_j))
    for place, (source, (first, rate)) in enumerate(zip(sources, chosen, strict=True)):
        if not rate > 0:
            raise ValueError(f"speed is positive, got {rate:g}")
        if first is None:
            length = len(source) if isinstance(source, Generated) else _length(source)
            first = even_starts(length, num_clips, num_frames, pace=rate)[place % num_clips]
        name = source.name if isinstance(source, Generated) else ""
        views.append(
            load_view(
                source, num_frames, size or query.size, start=int(first), speed=rate, name=name
            )
        )
    return query, key, views[0], views[1]


def other_speed(reader: FrameReader, view: View, speed: float | None = None) -> View:
    """The same video at another playback speed, starting as near to a clip as it fits.

    Args:
        reader: The clip's video.
        view: The clip, such as c_j, of which the result is c_k.
        speed: Of the result. Nothing: twice that of the clip up to 1x, half of it above.

    Raises:
        ValueError: The video is too short for it, or the speed is not positive or the clip's own.
    """
    own, num_frames = view.info.speed, len(view.frames)
    if speed is None:
        speed = 2 * own if own <= 1 else own / 2
    if speed <= 0:
        raise ValueError(f"speed is positive, got {speed:g}")
    if speed == own:
        raise ValueError(f"the clip is at {own:g}x already: name another speed")
    last = len(reader) - clip_span(num_frames, 1, speed)
    if last < 0:
        raise ValueError(
            f"{num_frames} frames at {speed:g}x need a video of {len(reader) - last} frames, "
            f"this one has {len(reader)}: take a lower other speed or a longer video"
        )
    start = min(view.info.frame_indices[0], last)
    return load_view(
        reader,
        num_frames,
        view.frames.shape[1],
        start=start,
        speed=speed,
        name=view.info.video,
    )


def speed_of_file(
    video: str | Path | None, view: View, speed: float | None = None, seed: int = 0
) -> View:
    """As :func:`other_speed`, of a file; nothing for the synthetic video of a seed.

    Raises:
        ValueError: As :func:`other_speed`.
    """
    if video is None:
        return other_speed(Generated.make(seed, 0), view, speed)
    with VideoReader(video) as reader:
        return other_speed(reader, view, speed)


def load_pair(
    model: str | Path = "default",
    video_i: str | Path | None = None,
    video_j: str | Path | None = None,
    *,
    start: Sequence[int | None] | None = None,
    speed: Sequence[float] | None = None,
    size: int | None = None,
    seed: int = 0,
    speed_k: float | None = None,
    others: Sequence[str | Path] = (),
    classifier: str | Path | None = None,
    with_negatives: bool = True,
    with_task: bool = False,
) -> PairClips:
    """Load a model and a pair of clips, with the negatives that margins need, and encode them.

    Without negatives for a head, ``PairClips.missing`` says why. The other arguments and errors are
    those of :func:`load_views`.

    Args:
        speed_k: Playback speed of c_k, the negative of RSP: see :func:`other_speed`.
        others: Videos whose middle clips are the candidates for A-VID's negatives. Nothing: other
            synthetic videos beside a synthetic pair, none beside files.
        classifier: A classifier's file, for class maps.
        with_negatives: Whether negatives are loaded at all.
        with_task: Whether the head of the model's pretext task is loaded, for maps of it.

    Raises:
        ValueError: As :func:`load_views`; the video of c_j is too short for a named ``speed_k``; or
            the model has no such head.
    """
    query, key, c_i, c_j = load_views(
        model, video_i, video_j, start=start, speed=speed, size=size, seed=seed
    )
    view_k, views, missing = None, [], {}
    if with_negatives and query.heads == HEADS:
        try:
            view_k = speed_of_file(video_j or video_i, c_j, speed_k, seed)
        except ValueError as error:
            if speed_k is not None:  # it was named
                raise
            missing["rsp"] = str(error)
        views = _middle_clips(others, query.num_frames, c_j.frames.shape[1])
        if video_i is None and not views:
            for index in range(1, 1 + NUM_HARD_NEGATIVES):
                video = Generated.make(seed, index)
                views.append(
                    load_view(video, query.num_frames, c_j.frames.shape[1], name=video.name)
                )
        if not views:
            missing["avid"] = "no clips of other videos: give --others VIDEO [VIDEO ...]"
    clips = PairClips.of(
        query,
        key,
        c_i,
        c_j,
        view_k=view_k,
        others=views,
        classifier=None if classifier is None else load_classifier(classifier),
        task=load_task(model) if with_task and not is_function(model) else None,
    )
    return replace(clips, missing=missing)


def _middle_clips(videos: Sequence[str | Path], num_frames: int, size: int) -> list[View]:
    views = []
    for path in videos:
        with VideoReader(path) as reader:
            start = max(0, (len(reader) - num_frames) // 2)
            views.append(load_view(reader, num_frames, size, start=start, name=str(path)))
    return views


def _length(video: str | Path) -> int:
    with VideoReader(video) as reader:
        return len(reader)


def _retrieve(
    gallery: Gallery,
    vectors: dict[str, Vectors],
    query: tuple[Frame, str, Path],
    num: int,
    features: Sequence[str],
    frame_of: Callable[[int], Frame],
    what: str,
) -> Retrieval:
    frame, label, path = query
    pictures: dict[int, Frame] = {}
    found = {}
    for feature in features:
        near = gallery.nearest(vectors[feature], feature, num, exclude=path)
        for one in near:
            pictures.setdefault(one.index, frame_of(one.index))
        found[feature] = tuple(
            Hit(
                frame=pictures[one.index],
                label=one.label,
                similarity=one.similarity,
                correct=one.label == label if label else None,
            )
            for one in near
        )
    return Retrieval(
        frame=frame,
        label=label,
        hits=found,
        num_videos=len(gallery) - (path in gallery.paths),
        what=what,
        protocol=gallery.protocol,
    )


def _middle_frame(path: Path, size: int) -> Frame:
    with VideoReader(path) as reader:
        return np.asarray(eval_frames(reader.get_frames([len(reader) // 2]), size)[0])


def retrieve_in_gallery(
    query: Branch,
    gallery: Gallery,
    video: str | Path,
    num: int,
    features: Sequence[str] = ("rsp", "avid"),
) -> Retrieval:
    """The videos of a gallery that are nearest to a video, which itself is not listed.

    Args:
        query: The model that made the gallery.
        gallery: Of ``python -m rspnet.extract``.
        video: The query.
        num: How many are shown.
        features: Of ``backbone``, ``rsp`` and ``avid``.

    Raises:
        ValueError: The gallery was made by another model, a video can't be read, or no such
            feature.
    """
    if gallery.model_hash != query.hash:
        raise ValueError(
            f"the gallery was made by another model ({gallery.model or 'unnamed'}, SHA-256 "
            f"{gallery.model_hash[:12]}) than the one given ({query.hash[:12]}): extract it anew"
        )
    path = Path(video)
    own = [n for n, other in enumerate(gallery.paths) if other.resolve() == path.resolve()]
    if own:
        path = gallery.paths[own[0]]
        vectors = {name: values[own[0]] for name, values in gallery.vectors.items()}
        label = gallery.labels[own[0]]
    else:
        vectors = embed_video(query, path, gallery.protocol)
        label = label_of(path) if label_of(path) in gallery.labels else ""
    name = gallery.dataset.get("name", "")
    what = f"videos of {name}" if name else "videos"
    size = query.size
    return _retrieve(
        gallery,
        vectors,
        (_middle_frame(path, size), label, path),
        num,
        features,
        lambda index: _middle_frame(gallery.paths[index], size),
        what,
    )


def retrieve_generated(
    query: Branch,
    seed: int,
    num_videos: int,
    num: int,
    features: Sequence[str] = ("rsp", "avid"),
    *,
    num_clips: int = 4,
    progress: bool = True,
) -> Retrieval:
    """As :func:`retrieve_in_gallery` with synthetic videos: video 0 of a seed is the query.

    Raises:
        ValueError: There are fewer than two videos, or no such feature.
    """
    if num_videos < 2:
        raise ValueError(f"a query and at least one other video are needed, got {num_videos}")
    protocol = protocol_for(query, num_clips=num_clips)
    labels: list[str] = []
    middles: list[Frame] = []
    rows: list[dict[str, Vectors]] = []
    names: list[Path] = []
    bar = tqdm(range(num_videos), desc="Embedding", unit="video", disable=not progress, leave=False)
    for index in bar:
        video = Generated.make(seed, index)
        starts = even_starts(len(video), num_clips, protocol.num_frames)
        clips = [clip_indices(s, protocol.num_frames, video_length=len(video)) for s in starts]
        frames, places = eval_clips(video, clips, protocol.size)
        views = Views(frames, places, tuple(starts))
        rows += embed_views(query, [views], protocol.pooling, num_clips)
        labels.append(video.label)
        names.append(Path(video.label) / f"{video.name}.mp4")
        middles.append(eval_frames(video.get_frames([len(video) // 2]), query.size)[0])
    gallery = Gallery(
        paths=tuple(names),
        labels=tuple(labels),
        vectors={name: np.stack([row[name] for row in rows]) for name in FEATURES},
        model_hash=query.hash,
        protocol=protocol,
    )
    vectors = {name: gallery.vectors[name][0] for name in FEATURES}
    first = (middles[0], labels[0], names[0])
    return _retrieve(
        gallery, vectors, first, num, features, lambda index: middles[index], "generated videos"
    )
