"""Runs of a method on tiny videos: one that is never stopped, one that is resumed."""

from pathlib import Path

import torch
from torch import Tensor

from rspnet.commands import parse_config
from rspnet.pretext.task import load_task
from rspnet.train import Trainer, train
from rspnet.training.config import TrainConfig

TINY = [
    "--batch_size=3", "--num_workers=0", "--log_every_steps=1", "--device=cpu", "--max_steps=4",
    "--checkpoint_every_minutes=0", "--checkpoint_every_steps=2", "--data.size=16",
    "--data.num_frames=8", "--model.options={width: 2, stem_kernel: [1, 3, 3]}",
]  # fmt: skip


def of_a_task(path: Path) -> dict[str, Tensor]:
    """Weights of a model's encoder and of its head."""
    task = load_task(path)
    return dict(task.branch.encoder.state_dict(prefix="encoder.")) | dict(
        task.head.state_dict(prefix="head.")
    )


def assert_resumes_exactly(folder: Path, videos: Path, *more: str) -> Path:
    """A run that is killed after its third step and started again ends as one never stopped.

    The seed of the resumed part's process is another, and frames are read by two processes.

    Returns:
        The model of the resumed run.
    """
    words = [*TINY, f"--data.root={videos}", *more]
    whole = train(parse_config(TrainConfig, [*words, f"--out={folder / 'whole'}"]))
    words = [*words, f"--out={folder / 'resumed'}"]
    trainer = Trainer(parse_config(TrainConfig, words))
    for batch in trainer.batches():
        trainer.train_step([batch])
        if trainer.step == 2:
            trainer.save_checkpoint()
        if trainer.step == 3:
            break  # as if killed: step 3 is lost
    torch.manual_seed(1234)
    resumed = train(parse_config(TrainConfig, [*words, "--num_workers=2"]))
    expected, got = of_a_task(whole), of_a_task(resumed)
    assert expected.keys() == got.keys()
    for name, tensor in expected.items():
        assert torch.equal(tensor, got[name]), name
    return resumed
