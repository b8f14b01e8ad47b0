"""The paper's settings of pre-training, value by value."""

from dataclasses import replace
from pathlib import Path

import pytest

from rspnet.commands import parse_config
from rspnet.models import list_encoders
from rspnet.pretext.method import method_settings
from rspnet.pretext.pace import PaceConfig
from rspnet.train import Trainer
from rspnet.training.config import TrainConfig
from rspnet.training.optim import lr_factor

CONFIGS = Path(__file__).resolve().parents[2] / "rspnet" / "configs" / "pretrain"
LR = {"c3d": 0.1, "resnet18": 0.1, "s3dg": 0.05, "r2plus1d": 0.05}


# What the videos here, of 40 frames, need of the options of a method.
SMALL = {
    "opn": ["--data.num_frames=1", "--method_options={window: 40, candidates: 8}"],
    "vcp": ["--data.num_frames=8", "--method_options={interval: 1, remote: 2}"],
    "cliporder": ["--data.num_frames=8"],
}


def read(name, *more):
    return parse_config(TrainConfig, ["--config", str(CONFIGS / f"{name}.yaml"), *more])


def test_there_is_a_recipe_for_every_network_of_the_paper():
    names = {f"{arch}_k400" for arch in LR} | {"resnet18_k400_release"}
    assert {p.stem for p in CONFIGS.glob("*.yaml") if read(p.stem).method == "rspnet"} == names


def test_the_release_differs_in_its_loss_alone():
    paper, release = (
        parse_config(TrainConfig, ["--config", str(CONFIGS / f"resnet18_k400{name}.yaml")])
        for name in ("", "_release")
    )
    assert (release.loss.rsp_form, release.loss.margin) == ("hinge_logits", 2.0)
    assert release.loss.rsp_temperature == 0.07
    loss = replace(release.loss, rsp_form="hinge", rsp_margin=0.15)
    assert replace(release, loss=loss, out=paper.out) == paper


@pytest.mark.parametrize("arch", LR)
def test_recipes_hold_the_settings_of_the_paper(arch):
    path = CONFIGS / f"{arch}_k400.yaml"
    c = parse_config(TrainConfig, ["--config", str(path)])
    assert c.model.arch == arch
    assert arch in list_encoders()
    assert (c.epochs, c.batch_size) == (200, 64)
    assert (c.data.num_frames, c.data.size) == (16, 224 if arch == "s3dg" else 112)
    assert (tuple(c.data.speeds), c.data.fps, c.data.stride) == ((1, 2), None, 1)
    assert (c.data.shared_crops, c.data.shared_colours) == (0, 0)
    a = c.data.augment
    assert (a.min_area, a.max_area, a.max_ratio, a.gray, a.flip) == (0.4, 1.0, 4 / 3, 0.2, 0.5)
    assert a.brightness == a.contrast == a.saturation == a.hue == 0.4
    assert (c.model.head, c.model.centre_heads) == ("linear", False)
    loss = c.loss
    assert (loss.rsp_form, loss.margin, loss.rsp_weight) == ("hinge", 0.15, 1)
    assert (loss.avid_weight, loss.avid_start, loss.avid_warmup) == (1, 0, 0)
    assert (loss.avid_temperature, loss.queue_length, loss.momentum) == (0.07, 16384, 0.999)
    o = c.optim
    assert (o.name, o.momentum, o.weight_decay, o.clip_norm) == ("sgd", 0.9, 1e-4, 0)
    assert o.base_lr(64) == LR[arch]
    assert o.base_lr(256) == pytest.approx(4 * LR[arch])
    # 10 steps an epoch: the cosine moves with the epoch, from lr to nearly lr / 1000.
    factors = [lr_factor(step, 2000, o, 10) for step in (0, 9, 1000, 1009, 1999)]
    assert factors == pytest.approx([1, 1, 0.5005, 0.5005, 0.00106162], rel=1e-4)
    assert path.read_text().startswith("# torchrun --nproc-per-node ")
    assert f"--config rspnet/configs/pretrain/{path.name} " in path.read_text().splitlines()[0]


def test_mocos_recipe_is_rspnets_without_rsp():
    moco, ours = read("moco_resnet18_k400"), read("resnet18_k400")
    loss = ours.loss
    assert moco.method_options == {
        "temperature": loss.avid_temperature,
        "queue_length": loss.queue_length,
        "momentum": loss.momentum,
        "mask_same_video": loss.mask_same_video,
    }
    same = replace(moco, method="rspnet", method_options={}, loss=loss, out=ours.out)
    assert same == ours


@pytest.mark.parametrize(
    ("arch", "frames", "size", "batch", "share"),
    [("c3d", 16, 112, 30, 112**2 / (128 * 171)), ("s3dg", 64, 224, 32, (224 / 256) ** 2)],
)
def test_paces_recipes(arch, frames, size, batch, share):
    c = read(f"pace_{arch}_k400")
    settings = method_settings(c.method, c.method_options, c.loss)
    assert settings == PaceConfig()  # its defaults are the paper's
    assert (settings.max_pace, settings.contrast_weight, settings.frame_jitter) == (4, 0.1, 0.8)
    assert (c.model.arch, c.data.num_frames, c.data.size) == (arch, frames, size)
    assert (c.epochs, c.batch_size) == (18, batch)
    a = c.data.augment
    assert a.min_area == a.max_area == pytest.approx(share, abs=1e-3)
    assert (a.brightness, a.contrast, a.saturation, a.hue, a.gray) == (0.8, 0.8, 0.8, 0.2, 0)
    o = c.optim
    assert (o.name, o.momentum, o.weight_decay, o.clip_norm) == ("sgd", 0.9, 5e-3, 0)
    assert o.base_lr(batch) == 1e-3
    factors = [lr_factor(epoch * 10, 180, o, 10) for epoch in (0, 5, 6, 11, 12, 17)]
    assert factors == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


def test_speednets_recipe():
    c = read("speednet_s3dg_k400")
    settings = method_settings(c.method, c.method_options, c.loss)
    assert (settings.normal, settings.sped_up) == ((1.0, 1.2), (1.7, 2.2))
    assert (c.model.arch, c.data.num_frames, c.data.size) == ("s3dg", 64, 224)
    assert [round(s * c.data.size) for s in (settings.min_scale, settings.max_scale)] == [64, 336]
    # Two clips a sample: the clips and the learning rate of RSPNet's recipe for S3D-G.
    ours = read("s3dg_k400")
    assert 2 * c.batch_size == ours.batch_size
    assert c.optim.base_lr(c.batch_size) == ours.optim.base_lr(ours.batch_size)
    assert replace(c.optim, lr_batch=64) == ours.optim


@pytest.mark.parametrize(
    "path", [p for p in CONFIGS.glob("*.yaml") if "method:" in p.read_text()], ids=lambda p: p.stem
)
def test_recipes_of_other_methods_give_their_command_and_their_sources(path):
    first, *lines = path.read_text().splitlines()
    assert f" -m rspnet.train --config rspnet/configs/pretrain/{path.name} " in first
    assert lines[0].startswith("# ")  # the paper
    assert path.stem.startswith(read(path.stem).method)
    assert sum("#" in line for line in lines) > 10


def test_a_recipe_runs(tmp_path, video_folder):
    words = [
        "--config", str(CONFIGS / "resnet18_k400.yaml"), f"--out={tmp_path}",
        f"--data.root={video_folder}", "--data.size=32", "--data.num_frames=8",
        "--batch_size=2", "--num_workers=0", "--device=cpu", "--epochs=0.5",
        "--loss.queue_length=8", "--checkpoint_every_minutes=0",
    ]  # fmt: skip
    trainer = Trainer(parse_config(TrainConfig, words))
    assert trainer.max_steps == 1
    scalars = trainer.train_step([next(iter(trainer.batches()))])
    assert scalars["lr"] == pytest.approx(0.1 * 2 / 64)
    assert float(scalars["rsp_loss"]) > 0


@pytest.mark.parametrize("name", ["cliporder_r2plus1d", "vcp_r2plus1d", "opn_caffenet"])
def test_the_recipe_of_an_order_runs(name, tmp_path, video_folder):
    words = [
        f"--out={tmp_path}", f"--data.root={video_folder}", "--data.size=32", "--batch_size=2",
        "--num_workers=0", "--device=cpu", "--epochs=0.5", "--checkpoint_every_minutes=0",
    ]  # fmt: skip
    trainer = Trainer(read(f"{name}_ucf101", *words, *SMALL[name.split("_")[0]]))
    scalars = trainer.train_step([next(iter(trainer.batches()))])
    assert trainer.max_steps == 1
    assert float(scalars["loss"]) > 0
