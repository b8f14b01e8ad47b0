"""Videos with the action of one and the appearance of another."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from analysis.studies import cue_conflict
from analysis.studies.cue_conflict import (
    CONFLICTS,
    FULL,
    CueConflict,
    CueConflictConfig,
    choose_partners,
    decide,
)
from analysis.studies.registry import StudyInputs
from rspnet.data.synthetic.videos import ACTIONS, PROPS, draw_factors, render_video
from tests.factories import tiny_branch


def test_decisions_by_hand() -> None:
    gallery = np.eye(3)
    queries = np.array([[0.9, 0.1, 0], [0.2, 0.3, 0], [0.1, 0.2, 0.9], [0.5, 0.5, 0]])
    found = decide(queries, gallery, a=[0, 0, 0, 0], b=[1, 1, 1, 1])
    # Nearer to A; nearer to B; to neither, but to B rather than to A; a tie is no motion decision.
    assert found.tolist() == [[1, 1, 0], [0, 0, 1], [0, 0, 0], [0, 1, 0]]


def test_partners_share_nothing() -> None:
    base = draw_factors(0, 0)
    own = replace(base, action="walk", actor=0, set_id=0, prop="crate")
    other = replace(base, action="run", actor=1, set_id=1, prop="ball")
    same_set = replace(other, set_id=0)
    third = replace(base, action="jump", actor=2, set_id=2, prop="vase")
    assert choose_partners([own, same_set, other, third]) == [2, 3, 3, 0]
    with pytest.raises(ValueError, match="no other video has another action and appearance"):
        choose_partners([own, same_set])


def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heads that see the action alone, or the appearance alone: the factors of what is rendered."""
    video = render_video(0, 0, num_frames=1)

    def render(seed: int, index: int, *, num_frames: int, **changes: Any) -> Any:
        factors = replace(draw_factors(seed, index), num_frames=num_frames, **changes)
        code = [ACTIONS.index(factors.action), factors.actor, factors.set_id]
        code.append(PROPS.index(factors.prop))
        return replace(video, frames=np.array(code))

    def embed(branch: Any, clips: Any) -> dict[str, np.ndarray]:
        found = []
        for action, *appearance in clips:
            rows = [np.random.default_rng(value).standard_normal(64) for value in appearance]
            joined = np.concatenate(rows)
            one = np.eye(len(joined))[action]
            found.append([one, joined / np.linalg.norm(joined)])
        return dict(zip(branch.heads, np.stack(found, axis=1), strict=True))

    monkeypatch.setattr(cue_conflict, "render_video", render)
    monkeypatch.setattr(cue_conflict, "load_view", lambda reader, *_: reader.frames.tolist())
    monkeypatch.setattr(cue_conflict, "embed_views", embed)


def test_a_head_that_sees_actions_decides_by_action_and_the_other_by_appearance(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    planted(monkeypatch)
    branch = tiny_branch(0)
    inputs = StudyInputs(query=branch, key=branch, progress=False)
    table = CueConflict().measure(inputs, CueConflictConfig(num_videos=20, num_random=1))
    assert table.one(weights="trained", conflict=FULL, head="rsp")["motion"].value == 1
    avid = table.one(weights="trained", conflict=FULL, head="avid")
    assert (avid["motion"].value, avid["appearance_first"].value) == (0, 1)
    # With B's prop alone most of the appearance is A's.
    weak = table.one(weights="trained", conflict="prop of B", head="avid")
    assert weak["motion"].value == 1
    (key,) = CueConflict().key_numbers(table)
    assert key.difference is not None
    assert key.difference.value == 1
    assert "in 1.00, 1.00 to 1.00 of the videos" in CueConflict().finding(table)


def test_real_frames_and_an_untrained_model() -> None:
    branch = tiny_branch(0)
    inputs = StudyInputs(query=branch, key=branch, progress=False)
    study, config = CueConflict(), CueConflictConfig(num_videos=3, num_random=1)
    table = study.measure(inputs, config)
    assert len(table.rows) == 2 * len(CONFLICTS) * 3
    for row in table.rows:
        if row.keys["head"] != "rsp_minus_avid":
            assert all(0 <= value.value <= 1 for value in row.values.values())
    assert [len(panel.dots) for panel in study.figures(table)[0].panels] == [12] * 3
    assert study.measure(inputs, config).to_json() == table.to_json()


def test_numbers_that_make_no_conflict_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 videos and 1 draw, got 1 and 3"):
        CueConflictConfig(num_videos=1)
