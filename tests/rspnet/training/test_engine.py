"""What the runs' engine does around its loader processes."""

import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from rspnet.commands import parse_config
from rspnet.train import Trainer, train
from rspnet.training.config import TrainConfig

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
