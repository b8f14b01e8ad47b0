"""Training curves: what is read, and a picture that holds the lines."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from analysis.cli.curves import main
from analysis.figures.curves import draw_curves, read_run, smoothed


def write_run(folder: Path, first: float) -> Path:
    folder.mkdir()
    rows = ["step,rsp_loss,avid_loss,rsp_accuracy,avid_top1"]
    rows += [f"{10 * n},{first / n},{9 / n},{1 - 0.5 / n},{n / 20}" for n in range(1, 21)]
    (folder / "metrics.csv").write_text("\n".join(rows) + "\n")
    return folder


def test_columns_are_read(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path / "a", 0.8))
    assert run.name == "a"
    assert run.columns["step"][[0, -1]].tolist() == [10, 200]
    assert run.columns["rsp_loss"][1] == 0.4


def test_smoothing_by_hand() -> None:
    got = smoothed(np.array([0.0, 3.0, 6.0, 3.0]), 3)
    np.testing.assert_allclose(got, [1.5, 3.0, 4.0, 4.5])
    np.testing.assert_allclose(smoothed(np.full(5, 2.0), 99), 2.0)


def test_command_line_draws_a_picture(tmp_path: Path) -> None:
    runs = [str(write_run(tmp_path / name, 0.8)) for name in "ab"]
    out = tmp_path / "curves.png"
    assert main([*runs, "--out", str(out)]) == 0
    image = np.asarray(Image.open(out).convert("RGB")).astype(int)
    assert image.shape[1] > 1200
    violet = np.abs(image - (0xB0, 0x5C, 0xBB)).sum(axis=-1) < 12
    green = np.abs(image - (0x0B, 0x8A, 0x66)).sum(axis=-1) < 12
    half = image.shape[1] // 2
    for colour in (violet, green):
        assert colour[:, :half].sum() > 200
        assert colour[:, half:].sum() > 200


def test_a_task_is_left_out_where_it_was_not_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = {}
    monkeypatch.setattr(
        "analysis.figures.curves.save", lambda figure, out: drawn.update(figure=figure)
    )
    first = write_run(tmp_path / "a", 0.8)
    (first / "config.yaml").write_text("loss: {rsp_weight: 0}\n")
    text = (first / "metrics.csv").read_text().splitlines()
    weights = ["avid_weight", *("0" if n < 5 else "1" for n in range(20))]
    rows = [f"{line},{weight}" for line, weight in zip(text, weights, strict=True)]
    (first / "metrics.csv").write_text("\n".join(rows) + "\n")
    draw_curves([read_run(first), read_run(write_run(tmp_path / "b", 0.8))], "x.png")
    rsp, _, avid, _ = drawn["figure"].axes
    raw = [line for line in rsp.lines if line.get_alpha() == 0.25]
    assert np.isnan(raw[0].get_ydata()).all()
    assert np.isfinite(raw[1].get_ydata()).all()
    assert raw[1].get_xdata()[[0, -1]].tolist() == [210, 400]
    raw = [line for line in avid.lines if line.get_alpha() == 0.25]
    assert np.isnan(raw[0].get_ydata()).tolist() == [True] * 5 + [False] * 15


def test_mistakes_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    assert "no metrics.csv" in capsys.readouterr().err
    run = str(write_run(tmp_path / "a", 0.8))
    assert main([run, "--out", str(tmp_path / "c.gif")]) == 2
    assert "got" in capsys.readouterr().err
    (tmp_path / "metrics.csv").write_text("step,loss\n")
    with pytest.raises(ValueError, match="holds no rows yet"):
        read_run(tmp_path)
