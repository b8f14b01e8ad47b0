"""Benchmarks of speed: what is timed is the same, and a slower ratio is noticed."""

import pytest
import torch

from benchmarks.speed import growth, records, retrieval, training_step
from benchmarks.speed.__main__ import main
from benchmarks.speed.records import Row, against, print_rows, read_rows, write_rows
from tests.factories import tiny_branch


def row(ratio: float, peer: str = "them") -> Row:
    return Row("us", peer, 0.1 * ratio, 0.1, ratio)


def test_rows_are_read_as_they_were_written(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "RESULTS", tmp_path / "results")
    assert read_rows("retrieval") == {}
    path = write_rows("retrieval", [row(0.5), row(2.0, "others")], ["torch", "no-such-package"])
    assert '"no-such-package": "absent"' in path.read_text()
    assert read_rows("retrieval") == {
        ("us", "them"): row(0.5),
        ("us", "others"): row(2.0, "others"),
    }


def test_only_a_ratio_that_has_risen_by_more_than_noise_is_slower(capsys):
    before = {("us", "them"): row(1.0)}
    assert print_rows([row(1.1), row(9.0, "new")], before) == []
    assert print_rows([row(1.2)], before) == [row(1.2)]
    assert "slower" in capsys.readouterr().out


def test_a_work_is_timed_against_each_peer_in_each_round():
    calls = []
    found = against("us", lambda: calls.append("us"), {"them": lambda: calls.append("them")}, 2)
    assert calls == ["us", "them"] * 3  # the first round does not count
    assert (found[0].name, found[0].peer) == ("us", "them")


def test_retrieval_is_measured_at_any_size():
    found = retrieval.rows(1, scale=0.01)
    assert {row.peer for row in found} >= {"torch matmul and topk"}
    assert all(row.seconds > 0 for row in found)


def test_the_plain_step_has_the_same_first_losses():
    branch = tiny_branch(0)
    clips = torch.randn(6, 3, 8, 32, 32, generator=torch.Generator().manual_seed(1))
    own, plain = training_step.own_step(branch, clips), training_step.plain_step(branch, clips)
    assert own() == pytest.approx(plain(), rel=1e-4)
    assert own() == pytest.approx(plain(), rel=1e-2)


def test_an_unknown_benchmark_is_refused(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["speed", "decoding"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "there is no benchmark ['decoding']" in capsys.readouterr().err


def test_growth_is_measured_at_powers_of_ten_and_drawn(tmp_path):
    assert growth.sizes(200, 200_000) == [200, 2_000, 20_000, 200_000]
    cubic = [(n, n**3) for n in growth.sizes(10, 1_000)]
    assert growth.slope(cubic) == pytest.approx(3)
    growth.draw(
        {"a": cubic, "a step, seconds": [(5, 1), (10, 1)], "MiB": [(5, 7)]}, tmp_path / "p.png"
    )
    assert (tmp_path / "p.png").stat().st_size > 1000
