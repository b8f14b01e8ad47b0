"""Training, as far as Streamlit's AppTest sees it."""

from pathlib import Path

import pytest
import torch
import yaml

from dashboard.services import runs
from rspnet.models import Branch
from rspnet.pretext.network import TwoBranch
from tests.dashboard.apps import open_page, texts
from tests.dashboard.conftest import write_maps, write_run


def test_training_shows_newest_numbers_and_tracked_maps(
    planted_videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_run(tmp_path / "deep" / "first")
    write_maps(run, planted_videos / "left" / "clip_1.mp4")
    app = open_page("training", ["--runs", str(tmp_path)], monkeypatch, step="10", mean="7")
    assert not app.exception
    page = texts(app)
    assert "<b>Step 60</b>" in page
    assert "RSP, correct order 0.75" in page
    assert "writing now" in page
    assert "memory" not in page
    assert 'data-step="10"' in page
    assert "+0.100" in page  # s_a of step 10
    assert [caption.value for caption in app.caption] == [r"Skipped, damaged: step\_00000030.npz."]
    assert app.query_params["run"] == "deep/first"
    app.select_slider("training_step").set_value(60).run()
    assert "+0.600" in texts(app)
    assert app.query_params["step"] == "60"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("max_steps: 60", "<b>Step 60 of 60</b>"),
        ("max_steps: 2000", "<b>Step 60 of 2,000</b>"),
        ("max_steps: 2000\nepochs: 5.0", "<b>Step 60</b>"),
    ],
)
def test_how_far_a_run_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: str, said: str
) -> None:
    run = write_run(tmp_path / "first")
    with (run / "config.yaml").open("a") as file:
        file.write(f"{settings}\n")
    page = texts(open_page("training", ["--runs", str(tmp_path)], monkeypatch))
    assert said in page
    assert ("finished" if "60 of 60" in said else "writing now") in page


def test_training_takes_maps_from_checkpoints(
    planted_branch: Branch,
    planted_videos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = write_run(tmp_path / "first")
    network = TwoBranch(planted_branch, 8)
    (run / "checkpoints").mkdir()
    config = yaml.safe_load((run / "config.yaml").read_text())
    state = {"step": 60, "config": config, "network": network.state_dict()}
    torch.save(state, run / "checkpoints" / "step_00000060.pt")
    argv = ["--runs", str(tmp_path), "--videos", str(planted_videos)]
    app = open_page("training", argv, monkeypatch)
    assert not app.exception
    assert not app.error
    assert texts(app).count("+1.000") == 4  # one feature a head, the same in both clips
    (run / "checkpoints" / "step_00000060.pt").write_bytes(b"torn")
    app.run()
    assert not app.exception
    assert "not a readable training checkpoint" in app.error[0].value


@pytest.mark.parametrize(
    ("table", "said"),
    [("step,rsp_loss\n1,abc\n", "is damaged"), ("step,rsp_loss\n", "no rows yet"),
     ("a,b\n1,2\n", "is damaged"), ("step,rsp_loss\n1,2,3,4\n", "is damaged"),
     ("step,rsp_loss\n\0\0,1\n", "is damaged")],
)  # fmt: skip
def test_damaged_metrics_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: str, said: str
) -> None:
    run = write_run(tmp_path / "first")
    (run / "metrics.csv").write_text(table)
    app = open_page("training", ["--runs", str(tmp_path)], monkeypatch)
    assert not app.exception
    shown = [element.value for element in (*app.error, *app.info)]
    assert any(said in text for text in shown)
    assert any("neither checkpoints nor maps" in text for text in shown)


@pytest.mark.parametrize("kind", ["missing", "empty"])
def test_no_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(runs, "CHECKPOINTS", tmp_path)
    root = tmp_path if kind == "empty" else tmp_path / "nowhere"
    app = open_page("training", ["--runs", str(root)], monkeypatch)
    assert not app.exception
    assert not app.warning
    assert "python -m rspnet.train" in app.caption[0].value
    link = {"run": "deep/first", "step": "60"}
    app = open_page("training", ["--runs", str(root)], monkeypatch, **link)
    assert not app.exception
    assert [warning.value for warning in app.warning] == [
        "The link names the run `deep/first` and the step `60`, but there is no run here, so none "
        "of it can be shown. It was made where the dashboard was started with another `--runs`, or "
        "the runs were moved."
    ]
    assert app.run().warning == []  # it was said once


def test_without_runs_it_shows_a_recorded_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "CHECKPOINTS", tmp_path / "checkpoints")
    monkeypatch.setenv("RSPNET_CACHE", str(tmp_path / "cache"))
    run = write_run(tmp_path / "checkpoints" / "small.run")
    # A synthetic video on another machine: it is made again.
    write_maps(run, Path("/elsewhere/dance/synthetic_7_000003.mp4"))
    app = open_page("training", ["--runs", str(tmp_path / "none")], monkeypatch)
    assert not app.exception
    assert app.caption[0].value.startswith("This is a recorded run: ")
    assert app.selectbox("training_run").options == ["small, recorded"]
    assert "<b>Step 60</b>" in texts(app)
    assert "synthetic_7_000003.mp4: " in texts(app)
    assert "As the run" not in str([caption.value for caption in app.caption])
    link = {"run": app.query_params["run"], "step": "10"}
    app = open_page("training", ["--runs", str(tmp_path / "none")], monkeypatch, **link)
    assert not app.warning
    assert 'data-step="10"' in texts(app)
    write_run(tmp_path / "mine" / "first")  # one's own come first
    app = open_page("training", ["--runs", str(tmp_path / "mine")], monkeypatch)
    assert app.selectbox("training_run").options == ["first", "small, recorded"]
    assert app.selectbox("training_run").value == "first"


def test_nothing_outside_the_root_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = write_run(tmp_path / "outside")
    root = tmp_path / "root"
    write_run(root / "good")
    (root / "led_out").symlink_to(outside)
    (root / "trap").mkdir()
    (root / "trap" / "metrics.csv").symlink_to(outside / "metrics.csv")
    found = runs.find(root)
    assert sorted(found.names) == ["good", "trap"]
    assert found.skipped == ["led_out"]
    for name in ("trap", "../outside", "led_out"):
        with pytest.raises(ValueError, match="leads out of the folder of runs"):
            runs.read_metrics(root, name)
    app = open_page("training", ["--runs", str(root)], monkeypatch, run="../outside", step="x")
    assert not app.exception
    said = [warning.value for warning in app.warning]
    assert any("the run `../outside`, which is not here" in text for text in said)
    assert any("step is no number" in text for text in said)
    assert any(r"led\_out" in caption.value for caption in app.caption)


def test_names_are_shown_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write_run(tmp_path / "_my_run_ of *x*", rows=0)
    app = open_page("training", ["--runs", str(tmp_path)], monkeypatch)
    assert not app.exception
    assert r"\_my\_run\_ of \*x\* has no rows yet." in app.info[0].value
    (run / "metrics.csv").write_text("step,rsp_loss\n1,abc\n")
    app = open_page("training", ["--runs", str(tmp_path)], monkeypatch)
    assert r"/\_my\_run\_ of \*x\*/metrics.csv is damaged" in app.error[0].value


def test_the_next_run_begins_at_its_last_step(
    planted_videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("first", "second"):
        write_maps(write_run(tmp_path / name), planted_videos / "left" / "clip_1.mp4")
    app = open_page("training", ["--runs", str(tmp_path)], monkeypatch, run="first", step="10")
    assert app.select_slider("training_step").value == 10
    app.selectbox("training_run").set_value("second").run()
    assert not app.exception
    assert app.select_slider("training_step").value == 60
    assert app.query_params["run"] == "second"


def test_what_the_heads_look_at_over_the_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_run(tmp_path / "first")
    rows = ["step,study,number,of,value,low,high,num,seconds"]
    for step in (1, 60):
        rows += [
            f"{step},localisation,margin in <limbs>,rsp,3.5,3,4,6,1",
            f"{step},localisation,margin in <limbs>,avid,1.5,1,2,6,1",
            f"{step},localisation,margin in <limbs>,rsp_minus_avid,2,1,3,6,1",
        ]
    (run / "evidence.csv").write_text("\n".join(rows) + "\n")
    app = open_page("training", ["--runs", str(tmp_path)], monkeypatch)
    assert not app.exception
    assert "What the heads look at" in texts(app)
    assert "6 synthetic videos a point" in texts(app)
    assert "Margin in &lt;limbs&gt;" in texts(app)
    (run / "evidence.csv").write_text("a,b\n1,2\n")
    app = open_page("training", ["--runs", str(tmp_path)], monkeypatch)
    assert not app.exception
    assert any("is no table of step, study" in error.value for error in app.error)
