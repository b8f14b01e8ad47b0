"""Curves of trainings: what is read, smoothed, drawn and refused."""

from pathlib import Path

import numpy as np
import pytest

from analysis.curves import draw_curves, main, read_curves, running_mean

HEADER = "step,loss,rsp_loss,avid_loss,rsp_accuracy,avid_top1,avid_weight,memory_gib\n"


def run_folder(folder: Path, rows: int = 3, rsp_weight: float = 1.0) -> Path:
    folder.mkdir()
    text = "".join(f"{10 * n},1,{n},2,0.5,0.25,{n > 1:d},\n" for n in range(1, rows + 1))
    (folder / "metrics.csv").write_text(HEADER + text)
    (folder / "config.yaml").write_text(f"batch_size: 4\nloss: {{rsp_weight: {rsp_weight}}}\n")
    return folder


def test_the_running_mean_has_fewer_neighbours_at_the_ends() -> None:
    values = np.array([1.0, 2.0, 6.0, 10.0])
    assert running_mean(values, 3).tolist() == [1.5, 3.0, 6.0, 8.0]
    assert running_mean(values, 1).tolist() == values.tolist()


def test_a_run_counts_samples(tmp_path: Path) -> None:
    curves = read_curves(run_folder(tmp_path / "a"))
    assert curves.name == "a"
    assert curves.samples.tolist() == [40, 80, 120]
    assert curves.values["rsp_loss"].tolist() == [1, 2, 3]


def test_runs_stand_in_their_order_and_untrained_tasks_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = {}
    monkeypatch.setattr("analysis.curves.save", lambda figure, out: drawn.update(figure=figure))
    first = read_curves(run_folder(tmp_path / "a", rsp_weight=0))
    draw_curves([first, read_curves(run_folder(tmp_path / "b", rows=2))], "x.png")
    rsp, _, avid, _ = drawn["figure"].axes
    raw = [line for line in rsp.lines if line.get_alpha() == 0.25]
    assert raw[0].get_xdata().tolist() == [0.04, 0.08, 0.12]
    assert np.isnan(raw[0].get_ydata()).all()
    assert raw[1].get_xdata() == pytest.approx([0.16, 0.2])
    assert raw[1].get_ydata().tolist() == [1, 2]
    # A-VID's weight is 0 in the first row of each.
    raw = [line for line in avid.lines if line.get_alpha() == 0.25]
    assert np.isnan(raw[0].get_ydata()).tolist() == [True, False, False]


def test_the_command_writes_a_figure_and_says_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(run_folder(tmp_path / "a"))
    assert main([run, run, "--out", str(tmp_path / "c.png")]) == 0
    assert (tmp_path / "c.png").read_bytes()[:4] == b"\x89PNG"
    assert main([run, "--out", str(tmp_path / "c.gif")]) == 2
    assert "got" in capsys.readouterr().err
    assert main([str(tmp_path)]) == 2
    assert "is no folder of a pre-training" in capsys.readouterr().err
    (tmp_path / "a" / "metrics.csv").write_text(HEADER)
    assert main([run]) == 2
    assert "has no rows yet" in capsys.readouterr().err
