"""What the runs' engine does around its loader processes."""

import subprocess
import sys
from pathlib import Path

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
