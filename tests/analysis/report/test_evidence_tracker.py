"""What the heads look at, measured while a run goes on."""

from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from analysis.core.statistics import Estimate
from analysis.report import evidence_tracker
from analysis.report.evidence_tracker import (
    Evidence,
    EvidenceTracker,
    nearest_labels,
    read_evidence,
)
from analysis.studies.registry import get_study
from rspnet.commands import parse_config
from rspnet.models import Branch
from rspnet.pretext.network import TwoBranch
from rspnet.train import train
from rspnet.training.config import TrainConfig
from rspnet.weights.checkpoint import load_model

TINY = [
    "--batch_size=4", "--num_workers=0", "--device=cpu", "--checkpoint_every_minutes=0",
    "--data.size=32", "--data.num_frames=8", "--max_steps=2", "--loss.queue_length=8",
    "--model.options={width: 2, stem_kernel: [1, 3, 3]}",
]  # fmt: skip
BOTH = "analysis.report.map_tracker:MapTracker, analysis.report.evidence_tracker:EvidenceTracker"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RSPNET_TRACK_STUDIES", "ledger")
    monkeypatch.setenv("RSPNET_TRACK_NUM", "2")


def network() -> TwoBranch:
    torch.manual_seed(0)
    options = {"width": 2, "stem_kernel": (1, 3, 3)}
    return TwoBranch(Branch("resnet18_fine", options, num_frames=8, size=32), 8).train()


def tracker(folder: Path, *words: str) -> EvidenceTracker:
    return EvidenceTracker(folder, parse_config(TrainConfig, [*TINY, *words]))


def test_a_run_with_both_callbacks_ends_with_the_same_bits(
    tmp_path: Path, video_folder: Path
) -> None:
    models = []
    for name, more in (("a", []), ("b", [f"--callback={BOTH}"])):
        words = [*TINY, f"--out={tmp_path / name}", f"--data.root={video_folder}", *more]
        models.append(load_model(train(parse_config(TrainConfig, words))))
    second = models[1].state_dict()
    assert all(torch.equal(t, second[k]) for k, t in models[0].state_dict().items())
    assert (tmp_path / "b" / "maps" / "step_00000002.npz").is_file()
    rows = read_evidence(tmp_path / "b" / "evidence.csv")
    assert {row.step for row in rows} == {1, 2}
    # What the study says of the model that the run ended with.
    query, key = (load_model(tmp_path / "b" / "model.safetensors", n) for n in ("query", "key"))
    study = get_study("ledger")
    inputs = evidence_tracker.StudyInputs(query=query, key=key, progress=False)
    table = study.measure(inputs, study.config(num_videos=2, num_random=1))
    for number in study.key_numbers(table):
        own = {row.of: row.estimate for row in rows if row.step == 2 and row.number == number.name}
        assert set(own) == {"rsp", "avid", "rsp_minus_avid"}
        for head, expected in number.values.items():
            assert own[head].value == pytest.approx(expected.value, rel=1e-4, abs=1e-5)
            assert own[head].num == 2
    board = EventAccumulator(str(tmp_path / "b" / "tensorboard")).Reload()
    assert any(tag.startswith("evidence/part of s") for tag in board.Tags()["scalars"])


def test_the_network_and_the_generators_are_left_as_they_were(tmp_path: Path) -> None:
    trained = network()
    state = {name: tensor.clone() for name, tensor in trained.state_dict().items()}
    modes = [module.training for module in trained.modules()]
    torch.manual_seed(5)
    generator = torch.get_rng_state()
    tracker(tmp_path)(1, trained, last=True)
    assert torch.equal(torch.get_rng_state(), generator)
    assert [module.training for module in trained.modules()] == modes
    assert all(torch.equal(t, state[name]) for name, t in trained.state_dict().items())
    assert all(parameter.grad is None for parameter in trained.parameters())


def test_it_takes_no_more_than_its_share_of_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [0.0]
    monkeypatch.setattr(evidence_tracker.time, "monotonic", lambda: clock[0])
    look = tracker(tmp_path, "--max_steps=100")

    def measure(step: int, _network: TwoBranch) -> list[Evidence]:
        clock[0] += 10
        return [Evidence(step, "s", "n", "rsp", Estimate(1.0, 0.0, 2.0, 3), 10.0)]

    monkeypatch.setattr(look, "_measure", measure)
    trained = network()
    for step in range(1, 101):
        clock[0] += 5
        look(step, trained, last=step == 100)
    # Each takes ten seconds, so after one 200 seconds have to go by: 40 steps. 10 and 100 cost
    # nothing that was spent before.
    assert [row.step for row in read_evidence(tmp_path / "evidence.csv")] == [1, 10, 40, 80, 100]
    assert "Evidence of step 20 is skipped" in capsys.readouterr().out


def test_labels_of_the_nearest_others(video_folder: Path) -> None:
    paths = sorted(video_folder.rglob("*.mp4"))[:6]
    found = nearest_labels(network().eval(), paths)
    assert set(found) == {"backbone", "rsp", "avid"}
    assert all(0 <= one.value <= 1 and one.num == len(paths) for one in found.values())
    with pytest.raises(ValueError, match="one video of 1 can be used"):
        nearest_labels(network().eval(), paths[:1])


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("RSPNET_TRACK_STUDIES", "legder", "studies are .*, got 'legder'"),
        ("RSPNET_TRACK_STUDIES", "optical_flow", "optical_flow is of real ones"),
        ("RSPNET_TRACK_NUM", "1", "at least 2, got '1'"),
        ("RSPNET_TRACK_SHARE", "half", "such as 0.05, got 'half'"),
        ("RSPNET_TRACK_EVERY", "0", "a positive number of steps, got '0'"),
        ("RSPNET_TRACK_LABELLED", "/nowhere", "nowhere"),
    ],
)
def test_wrong_settings_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, says: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValueError, match=says):
        tracker(tmp_path)


def test_a_table_of_something_else_is_named(tmp_path: Path) -> None:
    (tmp_path / "evidence.csv").write_text("step,loss\n1,2\n")
    with pytest.raises(ValueError, match="is no table of step, study, number"):
        read_evidence(tmp_path / "evidence.csv")
