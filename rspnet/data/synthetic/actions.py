"""Actions of the articulated figure: a pose for every phase of a cycle.

Angles are in radians. 0 hangs straight down. In the side view positive swings forward; in the
front view positive swings outward. ``r`` is the near limb in the side view.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from math import cos, pi, sin


@dataclass(frozen=True)
class Pose:
    """Joint angles and offsets.

    Attributes:
        lean: Of the torso, forward (side view) or to the right (front view).
        nod: Of the head, on top of the lean.
        arm_r: Upper arm; ``arm_l`` the other.
        elbow_r: Forearm relative to the upper arm.
        leg_r: Thigh.
        knee_r: Shin relative to the thigh, backward.
        lift: Height of a jump, in body heights.
        shift: Sideways offset of the hips, in body heights.
    """

    lean: float = 0.0
    nod: float = 0.0
    arm_r: float = 0.12
    arm_l: float = 0.12
    elbow_r: float = 0.15
    elbow_l: float = 0.15
    leg_r: float = 0.0
    leg_l: float = 0.0
    knee_r: float = 0.0
    knee_l: float = 0.0
    lift: float = 0.0
    shift: float = 0.0


@dataclass(frozen=True)
class Action:
    """One action.

    Attributes:
        name: Its label.
        view: ``side`` or ``front``.
        period: Seconds of one cycle at normal tempo.
        pose: Pose at a phase in 0..2 pi; second argument scales the movement.
        planted: Whether the feet keep their place on the floor.
    """

    name: str
    view: str
    period: float
    pose: Callable[[float, float], Pose]
    planted: bool = True


def _dip(phase: float) -> float:
    """0 at phase 0, 1 at pi, smooth."""
    return (1 - cos(phase)) / 2


def _walk(p: float, k: float) -> Pose:
    swing = 0.48 * k
    return Pose(
        lean=0.05,
        arm_r=-0.55 * k * sin(p),
        arm_l=0.55 * k * sin(p),
        elbow_r=0.3 + 0.15 * sin(p),
        elbow_l=0.3 - 0.15 * sin(p),
        leg_r=0.06 + swing * sin(p),
        leg_l=0.06 - swing * sin(p),
        knee_r=0.12 + 0.85 * k * max(0.0, cos(p)) ** 1.5,
        knee_l=0.12 + 0.85 * k * max(0.0, -cos(p)) ** 1.5,
    )


def _run(p: float, k: float) -> Pose:
    swing = 0.72 * k
    return Pose(
        lean=0.2,
        arm_r=-0.75 * k * sin(p),
        arm_l=0.75 * k * sin(p),
        elbow_r=1.5,
        elbow_l=1.5,
        leg_r=0.22 + swing * sin(p),
        leg_l=0.22 - swing * sin(p),
        knee_r=0.4 + 1.35 * max(0.0, cos(p + 0.35)) ** 1.3,
        knee_l=0.4 + 1.35 * max(0.0, -cos(p + 0.35)) ** 1.3,
        lift=0.035 * abs(sin(p)),
    )


def _jump(p: float, k: float) -> Pose:
    up, low = max(0.0, sin(p)), max(0.0, -sin(p))
    return Pose(
        lean=0.5 * low,
        nod=-0.2 * low,
        arm_r=0.1 - 0.8 * low + 2.5 * up,
        arm_l=0.1 - 0.7 * low + 2.4 * up,
        elbow_r=0.25,
        elbow_l=0.25,
        leg_r=0.95 * k * low + 0.1 * up,
        leg_l=0.9 * k * low + 0.05 * up,
        knee_r=1.75 * k * low + 0.25 * up,
        knee_l=1.65 * k * low + 0.3 * up,
        lift=0.17 * k * up,
    )


def _squat(p: float, k: float) -> Pose:
    c = k * _dip(p)
    return Pose(
        lean=0.55 * c,
        nod=-0.35 * c,
        arm_r=0.15 + 1.35 * c,
        arm_l=0.15 + 1.3 * c,
        leg_r=1.3 * c,
        leg_l=1.24 * c,
        knee_r=2.0 * c,
        knee_l=1.92 * c,
    )


def _kick(p: float, k: float) -> Pose:
    rise = _dip(p)
    return Pose(
        lean=0.06 - 0.3 * rise,
        arm_r=0.65 - 0.7 * rise,
        arm_l=0.5 + 0.7 * rise,
        elbow_r=1.2,
        elbow_l=1.3,
        leg_r=-0.4 + 1.85 * k * rise,
        knee_r=0.25 + 1.25 * max(0.0, sin(p)) ** 2,
        leg_l=-0.06,
        knee_l=0.1,
    )


def _punch(p: float, k: float) -> Pose:
    r, left = (1 + sin(p)) / 2, (1 - sin(p)) / 2
    return Pose(
        lean=0.12 + 0.07 * sin(p),
        arm_r=0.45 + 1.1 * k * r,
        arm_l=0.45 + 1.1 * k * left,
        elbow_r=2.0 * (1 - r) + 0.05,
        elbow_l=2.0 * (1 - left) + 0.05,
        leg_r=0.42,
        knee_r=0.35,
        leg_l=-0.38,
        knee_l=0.18,
    )


def _bow(p: float, k: float) -> Pose:
    c = k * _dip(p)
    return Pose(
        lean=1.25 * c,
        nod=0.3 * c,
        arm_r=0.1 + 0.35 * c,
        arm_l=0.05 + 0.25 * c,
        leg_r=-0.1 * c,
        leg_l=-0.13 * c,
    )


def _throw(p: float, k: float) -> Pose:
    return Pose(
        lean=0.05 + 0.2 * sin(p),
        arm_r=2.55 - 1.25 * k * sin(p),
        elbow_r=0.2 + 1.1 * _dip(p - pi / 2),
        arm_l=0.7 + 0.6 * k * sin(p),
        elbow_l=0.4,
        leg_r=-0.3,
        knee_r=0.25,
        leg_l=0.34 + 0.06 * sin(p),
        knee_l=0.12,
    )


def _lunge(p: float, k: float) -> Pose:
    c = k * _dip(p)
    return Pose(
        lean=0.05,
        arm_r=-0.6,
        elbow_r=1.55,
        arm_l=-0.5,
        elbow_l=1.5,
        leg_r=0.05 + 1.05 * c,
        knee_r=1.05 * c,
        leg_l=-0.05 - 0.45 * c,
        knee_l=0.95 * c,
    )


def _jumping_jack(p: float, k: float) -> Pose:
    c = _dip(p)
    arm, leg = 0.2 + 2.55 * k * c, 0.04 + 0.42 * c
    return Pose(arm_r=arm, arm_l=arm, leg_r=leg, leg_l=leg, lift=0.05 * sin(p) ** 2)


def _wave(p: float, k: float) -> Pose:
    return Pose(
        lean=0.03 * sin(p),
        nod=0.06 * sin(p),
        arm_r=2.05,
        elbow_r=0.75 + 0.7 * k * sin(p),
        arm_l=0.2,
        elbow_l=-0.1,
        leg_r=0.1,
        leg_l=0.1,
    )


def _clap(p: float, k: float) -> Pose:
    forearm = 2.35 + 1.65 * k * _dip(p)
    return Pose(
        arm_r=0.4,
        arm_l=0.4,
        elbow_r=forearm - 0.4,
        elbow_l=forearm - 0.4,
        leg_r=0.1,
        leg_l=0.1,
    )


def _arm_circles(p: float, _k: float) -> Pose:
    return Pose(arm_r=p, arm_l=p, elbow_r=0.08, elbow_l=0.08, leg_r=0.14, leg_l=0.14)


def _dance(p: float, k: float) -> Pose:
    s = sin(p)
    return Pose(
        lean=0.16 * k * s,
        nod=-0.1 * s,
        arm_r=1.35 + 0.8 * k * s,
        arm_l=1.35 - 0.8 * k * s,
        elbow_r=0.75 + 0.5 * cos(p),
        elbow_l=0.75 - 0.5 * cos(p),
        leg_r=0.2 - 0.1 * s,
        leg_l=0.2 + 0.1 * s,
        shift=-0.045 * k * s,
    )


_ALL = (
    Action("walk", "side", 1.12, _walk, planted=False),
    Action("run", "side", 0.76, _run, planted=False),
    Action("jump", "side", 1.12, _jump),
    Action("jumping_jack", "front", 1.04, _jumping_jack),
    Action("wave", "front", 0.80, _wave),
    Action("clap", "front", 0.72, _clap),
    Action("squat", "side", 1.44, _squat),
    Action("kick", "side", 1.20, _kick, planted=False),
    Action("punch", "side", 0.88, _punch),
    Action("bow", "side", 1.52, _bow),
    Action("throw", "side", 1.16, _throw),
    Action("lunge", "side", 1.48, _lunge, planted=False),
    Action("arm_circles", "front", 1.08, _arm_circles),
    Action("dance", "front", 1.12, _dance),
)

ACTIONS: dict[str, Action] = {action.name: action for action in _ALL}


def phase_at(frame: int, fps: float, period: float, start: float) -> float:
    """Phase of a cycle at a frame, in 0..2 pi."""
    return math.fmod(start + 2 * pi * frame / (fps * period), 2 * pi)
