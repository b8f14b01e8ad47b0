"""Maps against ground truth: exact on maps made by hand, and on a branch with a known map."""

from pathlib import Path

import numpy as np
import pytest

from analysis.cli.study import main
from analysis.core.clip import ClipInfo, View
from analysis.core.table import AVID_MINUS_RSP, RSP_MINUS_AVID, StudyTable
from analysis.regions.ground_truth import REGIONS, background_cues, regions_of
from analysis.stimuli import kinds
from analysis.stimuli.kinds import KINDS, EvaluatedModel, encode_triplet, with_controls
from analysis.studies import localisation
from analysis.studies.localisation import (
    EXPECTED,
    Localisation,
    LocalisationConfig,
    make_scene,
    measure,
    summarise,
)
from analysis.studies.measures.controlled import Measured, Scene
from analysis.studies.registry import StudyInputs
from rspnet.data.synthetic.videos import render_video
from rspnet.models import Branch
from rspnet.names import HEADS
from rspnet.weights.checkpoint import save_model
from tests.factories import tiny_branch


def tiny() -> Branch:
    return tiny_branch(0)


def evaluated(model: Branch, scenes: list[Scene]) -> EvaluatedModel:
    return next(with_controls(model, model, [one.triplets for one in scenes]))


def at(*names: str) -> tuple[int, ...]:
    return tuple(list(REGIONS).index(name) for name in names)


def scene(limbs: int, prop: int, *, size: int = 112, num_frames: int = 16) -> Scene:
    """A red square of limbs and a blue one of prop in columns of their own; c_k is without both."""
    frames = np.zeros((num_frames, size, size, 3), np.uint8)
    masks = {name: np.zeros(frames.shape[:3], bool) for name in REGIONS}
    rows = slice(40, 72)
    frames[:, rows, limbs : limbs + 32, 0] = 255
    frames[:, rows, prop : prop + 32, 2] = 255
    masks["limbs"][:, rows, limbs : limbs + 32] = True
    masks["prop"][:, rows, prop : prop + 32] = True
    masks["cues"] = masks["prop"]
    masks["static"] = ~masks["limbs"]
    masks["whole"][:] = True
    gray = np.full_like(frames, 128)
    info = ClipInfo("a", tuple(range(num_frames)), 1)
    views = tuple(View(shown, info) for shown in (frames, frames, gray))
    return Scene((views, views), (masks, masks))


def test_each_planted_head_has_its_energy_in_its_region(planted_branch: Branch) -> None:
    scenes = [scene(0, 80), scene(64, 16)]
    found = measure(evaluated(planted_branch, scenes), scenes)
    assert found["share"].shape == (2, 2, 2, len(KINDS), len(REGIONS))
    limbs, prop, body, static, whole = at("limbs", "prop", "body", "static", "whole")
    kind = KINDS.index("contribution")
    rsp, avid = found["share"][:, :, 0, kind], found["share"][:, :, 1, kind]
    # A map resolves cells, and these reach over the squares' edges; what is not in them is even.
    area = 32**2 / 112**2
    assert found["area"][..., [limbs, prop, body, whole]].tolist() == [[[area, area, 0, 1]] * 2] * 2
    assert (rsp[..., limbs] > 5 * area).all()
    assert (avid[..., prop] > 5 * area).all()
    assert (rsp[..., prop] < area / 2).all()
    assert (avid[..., limbs] < area / 2).all()
    np.testing.assert_allclose(rsp[..., limbs] + rsp[..., static], 1)
    assert (rsp[..., body] == 0).all()
    # The largest cell is inside, or the square's border halves it.
    assert (found["pointing"][:, :, 0, kind, limbs] >= 0.5).all()
    assert (found["pointing"][:, :, 1, kind, prop] >= 0.5).all()
    assert (found["pointing"][:, :, 0, kind, prop] == 0).all()
    np.testing.assert_array_equal(found["ceiling"][..., limbs], 1)


def test_shares_parts_and_pointing_of_a_map_made_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four cells of 16 x 16 pixels at every time: 6, 3, 1, -2; the region is the first and half
    of the second."""
    model = tiny()
    scenes = [scene(0, 0, size=32, num_frames=8) for _ in range(2)]
    grid = encode_triplet(model, model, scenes[0].triplets[0]).c_i.grid
    edge = [int(grid.edges(axis)[1]) for axis in (1, 2)]
    mask = np.zeros((8, 32, 32), bool)
    mask[:, : edge[0]] = True
    upper = (32 - edge[1]) // 2
    mask[:, : edge[0], edge[1] + upper :] = False
    for one in scenes:
        for masks in one.truth:
            masks["limbs"] = mask
    cells = np.broadcast_to(np.array([[6.0, 3.0], [1.0, -2.0]]), grid.cells)
    assert grid.cells[1:] == (2, 2)
    monkeypatch.setattr(kinds, "maps_of", lambda *_, **__: dict.fromkeys(KINDS, cells))
    found = measure(evaluated(model, scenes), scenes)
    half = upper / (32 - edge[1])
    (limbs, whole) = at("limbs", "whole")
    times = grid.cells[0]
    np.testing.assert_allclose(found["share"][..., limbs], (6 + 3 * half) / 10)
    np.testing.assert_allclose(found["signed_share"][..., limbs], times * (6 + 3 * half))
    np.testing.assert_allclose(found["signed_share"][..., whole], times * 8)
    np.testing.assert_allclose(found["pointing"][..., limbs], 1)
    np.testing.assert_allclose(found["uniform"][..., limbs], (1 + half) / 4)
    np.testing.assert_allclose(found["ceiling"][..., limbs], 1)
    np.testing.assert_allclose(found["area"][..., limbs], mask.mean())
    monkeypatch.setattr(kinds, "maps_of", lambda *_, **__: dict.fromkeys(KINDS, -1 - 0 * cells))
    assert (measure(evaluated(model, scenes), scenes)["share"] == 0).all()


def table_of(measured: Measured) -> StudyTable:
    rows = tuple(summarise(measured, ["margin"], "trained"))
    return StudyTable(study="localisation", rows=rows, num_videos=2, videos="videos by hand")


def test_numbers_over_videos_by_hand() -> None:
    shape = (2, 2, 2, 1, len(REGIONS))  # videos, speeds, heads, kinds, regions
    share = np.zeros(shape)
    share[:, 0, 0], share[:, 1, 0] = 0.4, 0.6  # RSP at 1x and at 2x
    share[0, :, 1], share[1, :, 1] = 0.1, 0.3
    area = np.full((2, 2, len(REGIONS)), 0.25)
    measured = {
        "share": share, "pointing": share / 2, "signed_share": -share,
        "area": area, "uniform": area, "ceiling": 4 * area,
    }  # fmt: skip
    table = table_of(measured)
    keys = {"kind": "margin", "head": "rsp", "region": "limbs"}
    ratios = [table.one(**keys, speed=s)["ratio"].value for s in ("both", "1x", "2x")]
    assert ratios == pytest.approx([2.0, 1.6, 2.4])
    row = table.one(kind="margin", head="avid", region="prop", speed="both")
    assert row["ratio"].value == pytest.approx(0.8)
    assert (row["ratio"].low, row["ratio"].high) == pytest.approx((0.4, 1.2))
    assert row["share"].value == pytest.approx(0.2)
    assert row["pointing"].value == pytest.approx(0.1)
    assert row["signed_share"].value == pytest.approx(-0.2)
    assert (row["uniform"].value, row["ceiling"].value) == (1, 4)
    limbs = table.one(head=RSP_MINUS_AVID, region="limbs", speed="both")
    prop = table.one(head=AVID_MINUS_RSP, region="prop", speed="both")
    assert limbs["ratio"].value == pytest.approx(1.2)
    assert prop["ratio"].value == pytest.approx(-1.2)
    compared = {r.keys["region"]: r.keys["head"] for r in table.rows if "minus" in r.keys["head"]}
    assert compared == EXPECTED


def test_a_region_out_of_the_picture_counts_where_it_is_in(monkeypatch, recwarn) -> None:
    share = np.full((2, 2, 2, 1, len(REGIONS)), 0.5)
    area = np.full((2, 2, len(REGIONS)), 0.25)
    (prop,) = at("prop")
    share[0, ..., prop] = area[0, :, prop] = 0
    measured = dict.fromkeys(("share", "pointing", "signed_share"), share) | dict.fromkeys(
        ("area", "uniform", "ceiling"), area
    )
    found = table_of(measured)
    ratio = found.one(head="rsp", region="prop", speed="both")["ratio"]
    assert (ratio.value, ratio.low, ratio.high) == (2, 2, 2)
    assert not recwarn.list
    empty = regions_of

    def without_prop(*words):
        return empty(*words) | {"prop": np.zeros((8, 32, 32), bool)}

    monkeypatch.setattr(localisation, "regions_of", without_prop)
    with pytest.raises(ValueError, match="none of the 2 videos of seed 9 shows its prop"):
        run(num_videos=2, num_triplets=1)


def run(**settings: int) -> StudyTable:
    model = tiny()
    inputs = StudyInputs(query=model, key=model, progress=False)
    return Localisation().measure(inputs, LocalisationConfig(**settings))


@pytest.fixture(scope="module")
def table() -> StudyTable:
    return run(num_videos=3, num_triplets=1, num_random=2)


def test_swapped_heads_are_exactly_reversed(table: StudyTable) -> None:
    other = dict(zip(HEADS, HEADS[::-1], strict=True))
    for row in table.select(weights="trained"):
        keys = {**row.keys, "weights": "swapped heads"}
        if row.keys["head"] in HEADS:
            swapped = table.one(**{**keys, "head": other[row.keys["head"]]})
            for name in ("ratio", "pointing", "signed_share"):
                assert row[name] == swapped[name]
        else:
            a, b = row["ratio"], -table.one(**keys)["ratio"]
            assert a.value == b.value
            assert (a.low, a.high) == pytest.approx((b.low, b.high), abs=1e-12)


def test_swapped_objectives_change_margins_alone(table: StudyTable) -> None:
    changed = {
        row.keys["kind"]
        for row in table.select(weights="trained")
        if row["ratio"] != table.one(**{**row.keys, "weights": "swapped objectives"})["ratio"]
    }
    assert changed == set(table.keys("kind")) - {"eq2", "contribution"}


def test_shares_add_up_and_all_weights_are_of_the_same_clips(table: StudyTable) -> None:
    assert table.keys("weights") == (
        "trained", "swapped heads", "swapped objectives", "random weights",
    )  # fmt: skip
    assert table.keys("kind")[-1] == "margin_static"
    assert table.grid.clip == (8, 32, 32)
    for row in table.rows:
        if row.keys["head"] not in HEADS:
            continue
        if row.keys["region"] == "whole":
            signed = [
                table.one(**{**row.keys, "region": name})["signed_share"].value
                for name in ("limbs", "body", "static")
            ]
            assert sum(signed) == pytest.approx(row["signed_share"].value, abs=1e-12)
            assert row["ratio"].value == pytest.approx(1)
        assert row["area"] == table.one(**{**row.keys, "weights": "trained"})["area"]
        assert 0 <= row["ratio"].value <= row["ceiling"].value + 1e-9


def test_what_is_shown_is_what_was_measured(table: StudyTable) -> None:
    study = Localisation()
    shown = study.tables(table)
    assert [one.folded for one in shown] == [False, True, True, True, True]
    first = {row[0]: row for row in shown[0].rows}
    keys = {"weights": "trained", "kind": "margin", "head": "avid", "speed": "both"}
    assert first["margin, A-VID"][3] == table.one(**keys, region="prop")["ratio"]
    (figure,) = study.figures(table)
    assert figure.rows[2:4] == ("margin, 1x", "margin, 2x")
    assert [panel.title.split(",")[0] for panel in figure.panels] == [
        "moving limbs", "rest of the actor", "prop", "background cues",
    ]  # fmt: skip
    (dot,) = [d for d in figure.panels[2].dots if (d.row, d.head, d.control) == (3, "avid", False)]
    assert dot.value == table.one(**{**keys, "speed": "2x"}, region="prop")["ratio"]
    limbs, prop, _ = study.key_numbers(table)
    headline = {"kind": "margin_faster", "speed": "both"}
    found = table.one(weights="trained", head=RSP_MINUS_AVID, region="limbs", **headline)["ratio"]
    assert limbs.difference == found
    turned = table.one(weights="random weights", head=AVID_MINUS_RSP, region="prop", **headline)
    assert prop.control == -turned["ratio"]
    assert f"{found.value:.2f}".lstrip("-") in study.finding(table)


def test_cues_of_a_set_are_its_contrasts_and_not_the_outline_of_others() -> None:
    frames = np.full((4, 60, 80, 3), 120, np.uint8)
    background = np.ones(frames.shape[:3], bool)
    frames[:, 10:20, 50:60:2] = 255  # a window with bars
    for t in range(4):
        frames[t, 30:55, 5 + 3 * t : 25 + 3 * t] = 0  # an actor who passes
        background[t, 30:55, 5 + 3 * t : 25 + 3 * t] = False
    cues = background_cues(frames, background, share=0.03)
    assert cues.any()
    assert not (cues & ~background).any()
    where = cues.any(axis=0)
    assert where[12:18, 51:58].all()
    assert not where[:, :44].any()
    assert not background_cues(frames, np.zeros_like(background)).any()


def test_regions_part_the_clip() -> None:
    video = render_video(5, 0, num_frames=20)
    frames = np.zeros((8, 64, 64, 3), np.uint8)
    regions = regions_of(video.masks, View(frames, ClipInfo("v", tuple(range(0, 16, 2)), 2)))
    assert tuple(regions) == tuple(REGIONS)
    parts = [regions[name].astype(int) for name in ("limbs", "body", "static")]
    np.testing.assert_array_equal(sum(parts), 1)
    assert regions["limbs"].any()
    assert not (regions["prop"] & ~regions["static"]).any()
    np.testing.assert_array_equal(regions["cues"], regions["prop"] | regions["background_cues"])


def test_scenes_follow_from_their_numbers() -> None:
    a, again, b = (make_scene(5, n, num_frames=8, size=32, num_triplets=2) for n in (0, 0, 1))
    speeds = [(i.info.speed, j.info.speed, k.info.speed) for i, j, k in a.triplets]
    assert speeds == [(1, 1, 2)] * 2 + [(2, 2, 1)] * 2
    assert [v.info for t in a.triplets for v in t] == [v.info for t in again.triplets for v in t]
    assert not np.array_equal(a.triplets[0][0].frames, b.triplets[0][0].frames)


def test_command_line_writes_what_it_prints(tmp_path: Path, capsys) -> None:
    model = tmp_path / "m.safetensors"
    save_model(model, tiny(), tiny())
    words = [f"--model={model}", "--num_videos=2", "--num_triplets=1", "--num_random=1"]
    figure = tmp_path / "p.svg"
    words += ["--size=48", f"--out={tmp_path / 'p.json'}", f"--figure={figure}"]
    assert main("localisation", words) == 0
    read = StudyTable.load(tmp_path / "p.json")
    assert read.grid.clip == (8, 48, 48)
    assert read.num_videos == 2
    printed = capsys.readouterr().out
    for shown in Localisation().tables(read):
        assert shown.text() in printed
    assert Localisation().finding(read) in printed
    assert figure.read_bytes().startswith(b"<?xml")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--num_videos=1"], "at least 2 videos"),
        (["--num_random=0"], "1 draw of random weights"),
        (["--size=8"], "between half and four times the model's own 112 pixels, got 8"),
        (["--model=none"], "none"),
        (["--figure=f.txt"], "written as .png, .svg, .pdf"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, capsys, words: list[str], message: str) -> None:
    assert main("localisation", [*words, f"--out={tmp_path / 'p.json'}"]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
