"""Maps of fixed clips while a run goes on."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from analysis.core.statistics import rank_correlation
from analysis.report.map_tracker import MapTracker, read_correlations, round_interval
from rspnet.commands import parse_config
from rspnet.models import Branch
from rspnet.pretext.network import TwoBranch
from rspnet.train import train
from rspnet.training.config import RunConfig, TrainConfig
from rspnet.weights.checkpoint import load_model

TINY = [
    "--batch_size=4", "--num_workers=0", "--device=cpu", "--checkpoint_every_minutes=0",
    "--data.size=32", "--data.num_frames=8", "--max_steps=3", "--loss.queue_length=8",
    "--model.options={width: 2, stem_kernel: [1, 3, 3]}",
]  # fmt: skip


def test_a_run_with_the_tracker_ends_with_the_same_bits(tmp_path, video_folder):
    models = []
    for name, more in (("a", []), ("b", ["--callback=analysis.report.map_tracker:MapTracker"])):
        words = [*TINY, f"--out={tmp_path / name}", f"--data.root={video_folder}", *more]
        models.append(load_model(train(parse_config(TrainConfig, words))))
    second = models[1].state_dict()
    assert all(torch.equal(t, second[k]) for k, t in models[0].state_dict().items())
    maps = tmp_path / "b" / "maps"
    for step in (1, 3):
        assert (maps / f"step_{step:08d}.png").stat().st_size > 1000
        assert (maps / f"step_{step:08d}.npz").is_file()
    assert (maps / "history.png").is_file()
    with (maps / "correlation.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {int(row["step"]) for row in rows} >= {1, 3}
    assert all(-1.001 <= float(row["rho"]) <= 1.001 for row in rows)


def test_rank_correlation_by_hand():
    a = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert rank_correlation(a, 10 * a + 1) == pytest.approx(1)
    assert rank_correlation(a, -a) == pytest.approx(-1)
    # Ranks 0 1 2 3 and 0.5 0.5 2 3: covariance 4.5, norms sqrt(5) and sqrt(4.5).
    tied = np.array([[7.0, 7.0], [8.0, 9.0]])
    assert rank_correlation(a, tied) == pytest.approx(4.5 / math.sqrt(5 * 4.5))
    assert math.isnan(rank_correlation(a, np.zeros((2, 2))))
    with pytest.raises(ValueError, match="two maps of one shape"):
        rank_correlation(a, np.zeros(4))


def test_intervals_are_round_numbers():
    assert [round_interval(n) for n in (0.3, 1, 4, 8, 90, 130)] == [1, 1, 5, 10, 100, 100]


def network() -> TwoBranch:
    torch.manual_seed(0)
    options = {"width": 2, "stem_kernel": (1, 3, 3)}
    return TwoBranch(Branch("resnet18_fine", options, num_frames=8, size=32), 8).train()


def tracker(folder: Path, videos: Path) -> MapTracker:
    return MapTracker(folder, parse_config(TrainConfig, [*TINY, f"--data.root={videos}"]))


def test_the_network_and_the_generators_are_left_as_they_were(tmp_path, video_folder):
    trained, look = network(), tracker(tmp_path, video_folder)
    trained.query.encoder.bn1.eval()  # frozen by whoever trains
    modes = [module.training for module in trained.modules()]
    state = {name: tensor.clone() for name, tensor in trained.state_dict().items()}
    torch.manual_seed(5)
    generator, random = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    look(1, trained, last=True)
    assert torch.equal(torch.get_rng_state(), generator)
    assert np.array_equal(np.random.get_state()[1], random)  # noqa: NPY002
    assert [module.training for module in trained.modules()] == modes
    assert all(torch.equal(t, state[name]) for name, t in trained.state_dict().items())
    assert all(parameter.grad is None for parameter in trained.parameters())
    assert (tmp_path / "maps" / "history.png").is_file()


def test_what_is_kept_are_the_maps_of_fixed_pairs(tmp_path, video_folder, monkeypatch):
    monkeypatch.setenv("RSPNET_TRACK_EVERY", "2")
    trained, look = network(), tracker(tmp_path, video_folder)
    for step in range(1, 6):
        look(step, trained, last=step == 5)
    maps = tmp_path / "maps"
    assert [int(p.stem[5:]) for p in sorted(maps.glob("step_*.npz"))] == [1, 2, 4, 5]
    with np.load(maps / "step_00000004.npz") as stored:
        assert int(stored["step"]) == 4
        assert stored["heads"].tolist() == ["rsp", "avid"]
        assert stored["maps"].shape == stored["maps_j"].shape == (3, 2, 2, 2, 2)
        assert stored["maps"].dtype == np.float32
        for part in ("maps", "maps_j"):
            sums = stored[part].sum(axis=(2, 3, 4))
            np.testing.assert_allclose(sums, stored["similarity"], atol=1e-5)
        assert len(set(stored["paths"].tolist())) == 3
        assert stored["frames_i"].tolist() == [list(range(8))] * 3
        assert stored["frames_j"].tolist() == [list(range(32, 40))] * 3
    # Going on from step 2: what came later is done again, rows and files.
    (maps / "step_00000001.npz").write_bytes(b"PK half a file")
    tracker(tmp_path, video_folder)(3, trained, last=True)
    steps = [step for step, _, _ in read_correlations(maps / "correlation.csv")]
    assert steps == [1] * 3 + [2] * 3 + [3] * 3


def test_videos_that_serve_are_found_among_those_that_do_not(tmp_path, video_folder, capsys):
    videos = tmp_path / "videos"
    videos.mkdir()
    for n in range(7):
        (videos / f"broken{n}.mp4").write_text("no video")
    look = tracker(tmp_path / "none", videos)
    look(1, network(), last=True)
    assert capsys.readouterr().out.count("No maps are tracked") == 1
    assert not (tmp_path / "none").exists()
    for path in list(video_folder.rglob("*.mp4"))[:2]:
        (videos / path.name).symlink_to(path)
    names = [Path(pair.info[0].video).name for pair in tracker(tmp_path, videos).pairs]
    assert len(names) == len(set(names)) == 2
    assert all(name.startswith("v") for name in names)


def test_videos_that_are_not_trained_on_can_be_watched(tmp_path, video_folder, monkeypatch):
    apart = tmp_path / "apart.mp4"
    apart.write_bytes(sorted(video_folder.rglob("*.mp4"))[0].read_bytes())
    monkeypatch.setenv("RSPNET_TRACK_VIDEOS", str(apart))
    config = parse_config(TrainConfig, [*TINY, f"--data.root={video_folder}"])
    tracker = MapTracker(tmp_path, config)
    assert {clip.video for pair in tracker.pairs for clip in pair.info} == {str(apart)}
    monkeypatch.setenv("RSPNET_TRACK_VIDEOS", str(tmp_path / "nothing"))
    with pytest.raises(ValueError, match="nothing"):
        MapTracker(tmp_path, config)


def test_mistakes_of_the_user_are_named(tmp_path, video_folder, monkeypatch):
    with pytest.raises(ValueError, match="is for pre-training"):
        MapTracker(tmp_path, RunConfig())
    monkeypatch.setenv("RSPNET_TRACK_EVERY", "0")
    with pytest.raises(ValueError, match="RSPNET_TRACK_EVERY is a positive number of steps"):
        tracker(tmp_path, video_folder)
    (tmp_path / "c.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="no table of step, pair, rho"):
        read_correlations(tmp_path / "c.csv")
