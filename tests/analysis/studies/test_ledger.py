"""The study of what stands still and what moves."""

import numpy as np
import pytest

from analysis import run_study
from analysis.core.clip import static_clip
from analysis.core.examples import example_views
from analysis.stimuli.triplets import Triplets
from analysis.studies.ledger import MEASURED, Ledger, LedgerConfig, encode, measure_parts
from analysis.studies.registry import StudyInputs
from tests.factories import tiny_branch


def test_parts_of_each_video_sum_to_its_similarity() -> None:
    query, key = tiny_branch(0), tiny_branch(1)
    views = example_views(6)
    encoded = [encode(query, key, (i, j, i)) for i, j in zip(views[:3], views[3:], strict=True)]
    found = measure_parts(encoded)
    for h, head in enumerate(("rsp", "avid")):
        for shift in (0, 1):  # a clip of the same video, and of another one
            values = found[h, shift]
            assert values.shape == (3, len(MEASURED))
            np.testing.assert_allclose(values[:, 2:].sum(axis=1), values[:, 0], atol=1e-6)
            sizes = np.abs(values[:, 2:])
            np.testing.assert_allclose(values[:, 1], sizes[:, 1:].sum(axis=1) / sizes.sum(axis=1))
            z_i = [own[0].embeddings[head] for own in encoded]
            z_j = [encoded[(n + shift) % 3][2].embeddings[head] for n in range(3)]
            cosines = [float(a @ b) for a, b in zip(z_i, z_j, strict=True)]
            np.testing.assert_allclose(values[:, 0], cosines, atol=1e-6)


def test_videos_that_stand_still_have_no_movement(monkeypatch: pytest.MonkeyPatch) -> None:
    still = [static_clip(view) for view in example_views(2)]
    clips = Triplets(views=tuple((v, v, v) for v in still), what="still videos")
    monkeypatch.setattr(StudyInputs, "triplets", lambda *_: clips)
    query, key = tiny_branch(0), tiny_branch(1)
    inputs = StudyInputs(query=query, key=key, progress=False)
    table = Ledger().measure(inputs, LedgerConfig(num_videos=2, num_random=1))
    moving = table.select(part="movement")
    assert [row["value"].value for row in moving] == [0] * 12
    assert "no difference that these videos can show" in Ledger().finding(table)


def test_run_as_a_study(tmp_path_factory: pytest.TempPathFactory) -> None:
    from rspnet.weights.checkpoint import save_model

    model = save_model(
        tmp_path_factory.mktemp("model") / "tiny.safetensors", tiny_branch(0), tiny_branch(1)
    )
    table = run_study("ledger", model=str(model), num_videos=2, num_random=1, progress=False)
    study = Ledger()
    whole = table.one(weights="trained", other="same", part="similarity", head="rsp")["value"]
    parts = [
        table.one(weights="trained", other="same", part=part, head="rsp")["value"].value
        for part in list(MEASURED)[2:]
    ]
    assert sum(parts) == pytest.approx(whole.value, abs=1e-6)
    assert [t.rows[0][0] for t in study.tables(table)] == ["all of s"] * 4
    (figure,) = study.figures(table)
    assert [len(panel.dots) for panel in figure.panels] == [len(MEASURED) * 4] * 2
    part, share = study.key_numbers(table)
    assert (part.name, share.name) == (
        "part of s from movement in both clips",
        "share of s that takes movement, by size",
    )
    assert (
        share.difference
        == table.one(weights="trained", other="same", part="movement", head="rsp_minus_avid")[
            "value"
        ]
    )
    with pytest.raises(ValueError, match="at least 2 videos and 1 draw, got 40 and 0"):
        LedgerConfig(num_random=0)
