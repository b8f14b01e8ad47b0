"""One thing about a clip changed and all else kept: its speed, its order, its colours, its frame.

A :class:`Perturbation` has levels, one of which leaves the clip as it is (``neutral``). Those of
time (``speed``, ``offset``) read other frames of the video; the other ones are pure functions of
frames. Factor swaps show another video in the clip's place, such as the same action by another
actor (:func:`analysis.stimuli.perturbed_clips.synthetic_probe`).

Another speed keeps the first frame, so a faster clip also reaches further into the video. How
much that alone does is what ``offset`` is for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from analysis.core.clip import ClipInfo, Frames, View, load_view, static_clip
from rspnet.data.sampling import clip_span
from rspnet.data.transforms import FrameReader, eval_frames


@dataclass(frozen=True)
class Perturbation:
    """One thing about a clip that can be changed.

    Attributes:
        name: Key in :data:`PERTURBATIONS`.
        title: For axes and tables, with its unit.
        levels: From little to much, ``neutral`` among them.
        neutral: Level at which the clip stays as it is.
        is_factor_swap: Whether it takes another video, which synthetic videos have.
    """

    name: str
    title: str
    levels: tuple[float, ...]
    neutral: float = 0
    is_factor_swap: bool = False

    @property
    def is_switch(self) -> bool:
        """Whether it is only on or off."""
        return len(self.levels) == 2


_SWITCH = (0.0, 1.0)  # off, on
_FACTORS = {
    "action": "other action", "actor": "other actor", "set": "other set", "prop": "other prop",
    "appearance": "other actor, set and prop",
}  # fmt: skip
PERTURBATIONS = {
    own.name: own
    for own in (
        Perturbation("speed", "playback speed", (0.25, 0.5, 1, 1.5, 2, 3, 4), neutral=1),
        Perturbation("reverse", "time reversed", _SWITCH),
        Perturbation("shuffle", "frames shuffled, pieces", (1, 2, 4, 8, 16), neutral=1),
        Perturbation("static", "static clip", _SWITCH),
        Perturbation("offset", "start moved by (frames)", (0, 1, 2, 4, 8, 16, 32)),
        Perturbation("grey", "grey scale", _SWITCH),
        Perturbation("hue", "hue rotated by (degrees)", (0, 30, 60, 90, 120, 180)),
        Perturbation(
            "crop", "centre crop, share of the side", (1, 0.9, 0.8, 0.7, 0.6, 0.5), neutral=1
        ),
        Perturbation("flip", "flipped", _SWITCH),
        Perturbation("blur", "blur, sigma (pixels)", (0, 0.5, 1, 2, 4)),
        *(
            Perturbation(name, title, _SWITCH, is_factor_swap=True)
            for name, title in _FACTORS.items()
        ),
    )
}


def find_perturbation(name: str) -> Perturbation:
    """A perturbation by its name.

    Raises:
        ValueError: There is none.
    """
    if name not in PERTURBATIONS:
        raise ValueError(f"perturbations are {list(PERTURBATIONS)}, got {name!r}")
    return PERTURBATIONS[name]


def window_of(num_frames: int, max_speed: float) -> int:
    """Frames of the video that a clip needs at every speed up to the highest."""
    return max(num_frames, clip_span(num_frames, 1, max_speed))


def levels_within(own: Perturbation, num_frames: int, window: int) -> tuple[float, ...]:
    """The levels of a perturbation that a clip of so many frames has in a window of the video.

    Speeds and offsets that reach over its end are skipped; a clip is cut into no more pieces than
    it has frames.
    """

    def fits(level: float) -> bool:
        if own.name == "speed":
            return clip_span(num_frames, 1, level) <= window
        if own.name == "offset":
            return num_frames + level <= window
        return own.name != "shuffle" or level <= num_frames

    return tuple(level for level in own.levels if fits(level))


def shuffled_order(num_frames: int, num_pieces: int, seed: int | Sequence[int] = 0) -> list[int]:
    """The order of frames when a clip is cut into equal pieces and these are shuffled.

    With as many pieces as frames all frames are shuffled. Where the clip does not divide evenly,
    pieces differ by one frame. It is never the order that it was, unless there is one piece.

    Args:
        num_frames: Frames in the clip.
        num_pieces: 1 to ``num_frames``.
        seed: Fixes the order.

    Raises:
        ValueError: ``num_pieces`` is out of range.
    """
    if not 1 <= num_pieces <= num_frames:
        raise ValueError(
            f"a clip of {num_frames} frames is cut into 1 to {num_frames} pieces, got {num_pieces}"
        )
    pieces = np.array_split(np.arange(num_frames), num_pieces)
    rng = np.random.default_rng(seed)
    order = np.arange(num_pieces)
    while num_pieces > 1 and (order == np.arange(num_pieces)).all():
        order = rng.permutation(num_pieces)
    return [int(frame) for piece in order for frame in pieces[piece]]


def grey(frames: Frames) -> Frames:
    """Frames without colour, (T, H, W, 3): each pixel at its luma (ITU-R BT.601)."""
    plain = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    return np.stack(plain)[..., None].repeat(3, axis=-1)


def hue_rotated(frames: Frames, degrees: float) -> Frames:
    """Frames with the hue of every pixel turned on the circle of HSV, (T, H, W, 3).

    Saturation and value (the largest channel) stay, so greys stay as they are; luma does not.
    """
    turned = []
    for frame in frames:
        hsv = cv2.cvtColor(frame.astype(np.float32) / 255, cv2.COLOR_RGB2HSV)
        hsv[..., 0] = (hsv[..., 0] + degrees) % 360
        turned.append(np.rint(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB) * 255))
    return np.stack(turned).clip(0, 255).astype(np.uint8)


def cropped(frames: Frames, share: float) -> Frames:
    """The middle of frames, ``share`` of either side, at the size of the file.

    Shape:
        (T, H, W, 3) -> (T, round(share H), round(share W), 3).

    Raises:
        ValueError: ``share`` is not above 0 and at most 1.
    """
    if not 0 < share <= 1:
        raise ValueError(f"a crop keeps a share of the side, above 0 and at most 1, got {share:g}")
    height, width = frames.shape[1:3]
    new_height, new_width = max(1, round(share * height)), max(1, round(share * width))
    top, left = (height - new_height) // 2, (width - new_width) // 2
    return np.ascontiguousarray(frames[:, top : top + new_height, left : left + new_width])


def flipped(frames: Frames) -> Frames:
    """Frames mirrored, left for right."""
    return np.ascontiguousarray(frames[:, :, ::-1])


def blurred(frames: Frames, sigma: float) -> Frames:
    """Frames under a Gaussian blur, each on its own.

    Args:
        frames: (T, H, W, 3).
        sigma: Standard deviation in pixels; 0 leaves them as they are.

    Raises:
        ValueError: ``sigma`` is negative.
    """
    if sigma < 0:
        raise ValueError(f"sigma is at least 0 pixels, got {sigma:g}")
    if sigma == 0:
        return frames
    return np.stack([cv2.GaussianBlur(frame, (0, 0), sigma) for frame in frames])


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A clip of a video that is perturbed.

    Attributes:
        reader: The video.
        num_frames: Frames in the clip, usually ``branch.num_frames``.
        size: Height and width in pixels, usually ``branch.size``.
        start: First frame.
        name: The video's name.
        seed: Of shuffled frames.
        swapped: By name of the factor swap, the video in its place.
    """

    reader: FrameReader
    num_frames: int
    size: int
    start: int = 0
    name: str = ""
    seed: int | tuple[int, ...] = 0
    swapped: Mapping[str, FrameReader] = field(default_factory=dict)

    @property
    def view(self) -> View:
        """The clip as it is."""
        return load_view(self.reader, self.num_frames, self.size, start=self.start, name=self.name)


def perturbed_view(probe: Probe, name: str, level: float, *, unchanged: View | None = None) -> View:
    """The clip with one thing changed.

    Crops are cut from frames of the file's size, then brought to the view's: they lose no more
    detail than the file lacks. Every other perturbation of frames is made in the view.

    Args:
        probe: Which clip.
        name: One of :data:`PERTURBATIONS`.
        level: How much: any number that makes sense for it, not only its levels.
        unchanged: ``probe.view`` where it is at hand, not to decode it again.

    Raises:
        ValueError: No such perturbation or level, the video is too short, or it has no such factor
            swap.
    """
    neutral = find_perturbation(name).neutral
    view = unchanged if unchanged is not None else probe.view
    if level == neutral:
        return view
    if name in ("speed", "offset"):
        start = probe.start + (_whole(name, level) if name == "offset" else 0)
        if name == "speed" and not level > 0:
            raise ValueError(f"a playback speed is positive, got {level:g}")
        return load_view(
            probe.reader,
            probe.num_frames,
            probe.size,
            start=start,
            speed=level if name == "speed" else 1,
            name=probe.name,
        )
    if name == "shuffle":
        return _ordered(view, shuffled_order(probe.num_frames, _whole(name, level), probe.seed))
    if name == "hue":
        return view.with_frames(hue_rotated(view.frames, level))
    if name == "blur":
        return view.with_frames(blurred(view.frames, level))
    if name == "crop":
        frames = cropped(probe.reader.get_frames(list(view.info.frame_indices)), level)
        return view.with_frames(eval_frames(frames, probe.size))
    if level != 1:
        raise ValueError(f"{name} is on (1) or off (0), got level {level:g}")
    if name == "reverse":
        return _ordered(view, list(range(probe.num_frames))[::-1])
    if name == "static":
        return static_clip(view)
    if name == "grey":
        return view.with_frames(grey(view.frames))
    if name == "flip":
        return view.with_frames(flipped(view.frames))
    return _swapped(probe, name)


def _whole(name: str, level: float) -> int:
    if level != int(level):
        raise ValueError(f"levels of {name} are whole numbers, got {level:g}")
    return int(level)


def _ordered(view: View, order: Sequence[int]) -> View:
    info = view.info
    indices = tuple(info.frame_indices[frame] for frame in order)
    return View(view.frames[list(order)], ClipInfo(info.video, indices, info.speed))


def _swapped(probe: Probe, name: str) -> View:
    if name not in probe.swapped:
        raise ValueError(
            f"{probe.name or 'this video'} has none to show in its place ({name}), only "
            f"{list(probe.swapped)}: factor swaps are of synthetic videos"
        )
    return load_view(
        probe.swapped[name],
        probe.num_frames,
        probe.size,
        start=probe.start,
        name=f"{probe.name}, {find_perturbation(name).title}",
    )
