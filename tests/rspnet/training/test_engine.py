"""What the runs' engine does around its loader processes."""

import subprocess
import sys
import time
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from analysis.figures.curves import read_run
from rspnet.commands import parse_config
from rspnet.train import Trainer, train
from rspnet.training.config import RunConfig, TrainConfig
from rspnet.training.optim import OptimConfig, create_optimiser, load_optimiser
from rspnet.training.processes import Processes
from rspnet.training.progress import SPEED_COLUMNS, MetricsLog, Progress

ROOT = Path(__file__).resolve().parents[3]

# Without `prepare_workers` the forked process crashes or hangs: OpenCV's threads are not in it.
_PROGRAM = """
import cv2, numpy as np
from torch.utils.data import DataLoader
from rspnet.training.loading import prepare_workers, start_worker

class Items:
    def __len__(self):
        return 3
    def __getitem__(self, index):
        return float(cv2.resize(picture, (100, 100)).mean())

if __name__ == "__main__":
    picture = np.full((1500, 1500, 3), 7, np.uint8)
    cv2.setNumThreads(4)
    cv2.GaussianBlur(picture, (0, 0), 3)
    prepare_workers(1)
    loader = DataLoader(Items(), batch_size=None, num_workers=1, worker_init_fn=start_worker)
    assert list(loader) == [7.0] * 3
"""


def test_loader_processes_start_after_opencv_was_used(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(_PROGRAM)
    done = subprocess.run(
        [sys.executable, str(program)],
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_all_processes_wait_for_the_result_though_one_sees_it_already(
    tmp_path: Path, video_folder: Path
) -> None:
    words = [
        f"--out={tmp_path}", f"--data.root={video_folder}", "--max_steps=1", "--batch_size=2",
        "--num_workers=0", "--device=cpu", "--data.size=16", "--data.num_frames=8",
        "--model.options={width: 2, stem_kernel: [1, 3, 3]}",
    ]  # fmt: skip
    path = train(parse_config(TrainConfig, words))
    waited = []

    class Second:
        """Rank 1, which looks when rank 0 has just written the file."""

        first = False
        others_may_go = nullcontext

        def any(self, *flags: bool) -> list[bool]:
            assert flags == (False,)
            return [True]

        def call_in_first(self, make: Any) -> None:
            waited.append(make)

    trainer = Trainer(parse_config(TrainConfig, words))
    trainer.processes = Second()  # type: ignore[assignment]
    assert trainer.run() == path
    assert len(waited) == 1


def test_a_run_of_an_older_version_resumes_with_the_columns_of_now(tmp_path: Path) -> None:
    file = tmp_path / "metrics.csv"
    file.write_text("step,loss,clips_per_second\n10,2.5,7\n20,1.5,8\n30,1,9\n")
    log = MetricsLog(tmp_path, ["loss", *SPEED_COLUMNS], first_step=20)
    log.write(30, {"loss": 1.25, "clips_per_second": 6.0, "data_wait": 0.5})
    log.close()
    assert file.read_text().splitlines() == [
        "step,loss,clips_per_second,data_wait,memory_gib",
        "10,2.5,7,,", "20,1.5,8,,", "30,1.25,6,0.5,",
    ]  # fmt: skip
    columns = read_run(tmp_path).columns
    assert columns["data_wait"][-1] == 0.5
    assert np.isnan(columns["data_wait"][:2]).all()


def test_a_row_says_which_share_of_the_time_the_run_waited_for_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 2.0, 5.0, 10.0, 10.0, 20.0, 30.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    config = RunConfig(out=str(tmp_path), batch_size=4)
    columns, alone = ["loss", *SPEED_COLUMNS], Processes(0, 1, torch.device("cpu"))
    progress = Progress(config, alone, columns, range(0, 3), "Training", 3)
    with closing(progress):
        with progress.waiting():  # from 2 to 5
            pass
        progress.add({"loss": 1.0})
        assert progress.log(1, str)["data_wait"] == 0.3  # until 10
        progress.add({"loss": 1.0})
        row = progress.log(2, str)
    assert (row["data_wait"], row["clips_per_second"]) == (0.0, 12 / 10)


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_a_state_from_a_gpu_is_stepped_as_this_device_does(name: Any) -> None:
    def optimiser(fused: bool) -> torch.optim.Optimizer:
        config = OptimConfig(name=name)
        found = create_optimiser([nn.Parameter(torch.linspace(-1, 1, 5))], config, 8)
        found.defaults["fused"] = found.param_groups[0]["fused"] = fused or None
        found.param_groups[0]["params"][0].grad = torch.arange(5.0)
        return found

    there, here = optimiser(fused=True), optimiser(fused=False)
    there.step(), here.step()
    load_optimiser(here, there.state_dict())
    assert here.param_groups[0]["fused"] is None
    assert there.state_dict()["param_groups"][0]["fused"] is True
    here.step()
    load_optimiser(there, here.state_dict())  # as a run from before
    assert there.param_groups[0]["fused"] is True
    there.step()
