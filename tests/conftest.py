"""Fixtures shared by all tests."""

import copy
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch

from analysis.core import statistics
from rspnet.data.synthetic import videos
from rspnet.data.synthetic.render import Factors, SyntheticVideo
from rspnet.models import Branch

# What tests share says as much as they do when it fails.
pytest.register_assert_rewrite(*(f"tests.{name}" for name in ("analysis", "dashboard", "rspnet")))

REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


# They take longest and so begin first: else one worker waits for the other at the end.
LONG = ("tests/rspnet/test_distributed.py", "tests/rspnet/test_train.py", "tests/benchmarks/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take longest first."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    # Tests run side by side, one process a core.
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _videos_are_rendered_once() -> Iterator[None]:
    """Many studies ask for the same few videos; each gets a copy of its own."""
    kept = lru_cache(maxsize=16)(videos.render)

    def render(factors: Factors) -> SyntheticVideo:
        return copy.deepcopy(kept(factors))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(videos, "render", render)
        yield


@pytest.fixture(scope="module")
def few_resamples() -> Iterator[None]:
    """Intervals of a tenth of the draws, for those who measure all there is, of few videos."""
    defaults: dict[str, object] = statistics.estimate.__kwdefaults__
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(defaults, "num_samples", statistics.NUM_SAMPLES // 10)
        yield


@pytest.fixture(scope="session")
def planted_branch() -> Branch:
    """A branch whose RSP head sees red things alone, and its A-VID head blue ones alone.

    The stem passes the red channel to feature 0 and the blue one to feature 1; every block is
    the identity on these two; each head reads one of them.
    """
    branch = Branch("resnet18_fine", {"width": 4}).eval()
    with torch.no_grad():
        for parameter in branch.parameters():
            parameter.zero_()
        encoder = branch.encoder
        middle = tuple(size // 2 for size in encoder.conv1.kernel_size)
        encoder.conv1.weight[(0, 0, *middle)] = 1.0  # red
        encoder.conv1.weight[(1, 2, *middle)] = 1.0  # blue
        encoder.bn1.weight.fill_(1.0)
        for module in encoder.modules():
            shortcut = getattr(module, "downsample", None)
            if shortcut is not None:
                shortcut[0].weight[0, 0] = shortcut[0].weight[1, 1] = 1.0
                shortcut[1].weight.fill_(1.0)
        for feature, name in enumerate(("rsp", "avid")):
            branch.head(name).weight[feature, feature] = 1.0
    return branch


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real videos, where there is one."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"needs the real videos in {REAL_DATA}, which are not part of the repository")
    return REAL_DATA


@pytest.fixture(scope="session")
def synthetic_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six generated videos with ground truth."""
    from rspnet.data.synthetic.videos import generate

    return generate(tmp_path_factory.mktemp("synthetic"), 6, seed=3, num_workers=1, progress=False)


@pytest.fixture(scope="session")
def video_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four tiny videos in two class folders: 40 frames of 32 x 24 pixels, a moving square."""
    from rspnet.data.video.encode import write_video

    folder = tmp_path_factory.mktemp("videos")
    for number in range(4):
        frames = np.full((40, 24, 32, 3), 40 * number + 20, np.uint8)
        for t in range(40):
            x = (2 * t + 5 * number) % 26
            frames[t, 8:14, x : x + 6] = (220, 60 * number, 90)
        write_video(folder / f"class{number % 2}" / f"v{number}.mp4", frames, 25, preset="fast")
    return folder
