"""The authors' layout, our training checkpoints and torchvision's weights, read and converted."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.models import video

from rspnet.convert import convert, main
from rspnet.models import Branch, create_encoder
from rspnet.models.branch import IMAGENET_MEAN, IMAGENET_STD
from rspnet.train import main as train
from rspnet.weights.checkpoint import load_model, save_model
from rspnet.weights.import_weights import TORCHVISION_ARCHS, torchvision_arch

ARCHS = {"c3d": "c3d", "resnet18": "resnet18", "s3dg": "s3dg", "r2plus1d-vcop": "r2plus1d"}


@pytest.fixture(autouse=True, scope="module")
def _weights_are_drawn_in_part() -> Iterator[None]:
    """Networks have their full size here: of large tensors the first numbers are repeated."""

    def in_part(draw: Callable[..., Tensor], num: int = 100_000) -> Callable[..., Tensor]:
        def drawn(tensor: Tensor, *args: Any, **words: Any) -> Tensor:
            if tensor.numel() <= num or tensor.is_meta:
                return draw(tensor, *args, **words)
            numbers = draw(tensor.new_empty(num), *args, **words)
            repeated = numbers.repeat(-(-tensor.numel() // num))[: tensor.numel()]
            return tensor.copy_(repeated.view(tensor.shape))

        return drawn

    with pytest.MonkeyPatch.context() as patch:
        for name in ("uniform_", "normal_"):
            patch.setattr(Tensor, name, in_part(getattr(Tensor, name)))
        yield


def released(arch: str, seed: int = 0, *, mlp: bool = False) -> dict[str, Any]:
    """A checkpoint with the layout that the authors released, with random weights."""
    torch.manual_seed(seed)
    model: dict[str, Tensor] = {"queue": torch.randn(128, 8), "queue_ptr": torch.zeros(1).long()}
    for prefix in ("encoder_q", "encoder_k"):
        branch = Branch(ARCHS[arch], head="mlp" if mlp else "linear")
        for module in branch.modules():  # statistics that are not those of a new network
            if isinstance(module, torch.nn.BatchNorm3d):
                module.running_mean.uniform_(-0.1, 0.1)
        for name, tensor in branch.encoder.state_dict().items():
            model[f"{prefix}.encoder.{name}"] = tensor
        for head, fc in (("avid", "fc1"), ("rsp", "fc2")):
            for name, tensor in branch.head(head).state_dict().items():
                layer, _, rest = name.rpartition(".")
                number = {"": 2, "0": 2, "2": 4}[layer]
                model[f"{prefix}.{fc}.{number}.{rest}"] = tensor
        model[f"{prefix}.encoder.fc.weight"] = torch.zeros(3, 3)
    state = {"epoch": 200, "arch": arch, "model": model, "best_loss": torch.tensor(1.5)}
    return state | {"optimizer": {"state": {}, "param_groups": []}, "scheduler": {"last_epoch": 5}}


@pytest.mark.parametrize("arch", ARCHS)
def test_released_checkpoint_and_its_conversion_give_the_same_features(
    arch: str, tmp_path: Path
) -> None:
    state = released(arch)
    torch.save(state, tmp_path / "model.pth.tar")
    convert(tmp_path / "model.pth.tar", tmp_path / "ours.safetensors")
    clip = torch.randn(1, 3, 8, 32, 32)
    for name, prefix in (("query", "encoder_q"), ("key", "encoder_k")):
        direct = load_model(tmp_path / "model.pth.tar", name)
        ours = load_model(tmp_path / "ours.safetensors", name)
        assert direct.arch == ours.arch == ARCHS[arch]
        assert (ours.num_frames, ours.size) == (16, 224 if arch == "s3dg" else 112)
        with torch.inference_mode():
            F = direct.features(clip)
            assert torch.equal(F, ours.features(clip))
            for head in ("rsp", "avid"):
                assert torch.equal(direct.project(F)[head], ours.project(F)[head])
        # fc1 is A-VID, fc2 is RSP.
        assert torch.equal(ours.head("avid").weight, state["model"][f"{prefix}.fc1.2.weight"])
        assert torch.equal(ours.head("rsp").bias, state["model"][f"{prefix}.fc2.2.bias"])
    assert ours.metadata["source"] == "RSPNet release"
    assert ours.metadata["epoch"] == 200
    assert ours.metadata["best_loss"] == 1.5
    assert ours.metadata["converted_from_sha256"] == direct.hash


def test_mlp_heads_and_data_parallel_names_are_read(tmp_path: Path) -> None:
    state = released("c3d", mlp=True)
    state["model"] = {f"module.{k}": v for k, v in state["model"].items()}
    torch.save(state, tmp_path / "m.pth.tar")
    branch = load_model(tmp_path / "m.pth.tar")
    assert branch.head_kind == "mlp"
    expected = state["model"]["module.encoder_q.fc2.4.weight"]
    assert torch.equal(branch.head("rsp")[2].weight, expected)


def test_training_checkpoint_is_the_model_that_the_run_wrote(
    tmp_path: Path, video_folder: Path
) -> None:
    out = tmp_path / "run"
    words = ["--batch_size=2", "--num_workers=0", "--device=cpu", "--data.size=16"]
    words += ["--data.num_frames=8", "--model.options={width: 2, stem_kernel: [1, 3, 3]}"]
    assert train([*words, f"--out={out}", f"--data.root={video_folder}", "--max_steps=2"]) == 0
    path = out / "checkpoints" / "step_00000002.pt"
    convert(path, tmp_path / "ours.safetensors")
    for name in ("query", "key"):
        written = load_model(out / "model.safetensors", name).state_dict()
        for source in (path, tmp_path / "ours.safetensors"):
            read = load_model(source, name)
            assert read.size == 16
            assert all(torch.equal(written[k], v) for k, v in read.state_dict().items())


def drop(state: dict[str, Any]) -> None:
    del state["model"]["encoder_q.encoder.bn2.weight"]


def add(state: dict[str, Any]) -> None:
    state["model"]["encoder_k.encoder.conv9.weight"] = torch.zeros(1)


def reshape(state: dict[str, Any]) -> None:
    state["model"]["encoder_q.fc2.2.weight"] = torch.zeros(128, 7)


def rename(state: dict[str, Any]) -> None:
    state["arch"] = "mfnet"


def strip(state: dict[str, Any]) -> None:
    state["model"] = {"queue": torch.zeros(2)}


def empty(state: dict[str, Any]) -> None:
    state.clear()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (drop, r"missing \['encoder.bn2.weight'\]"),
        (add, r"unexpected \['encoder.conv9.weight'\]"),
        (reshape, r"projections.rsp.weight \(128, 7\) instead of \(128, 512\)"),
        (rename, "arch 'mfnet'; known are"),
        (strip, r"no encoder_q\.\* in 'model', only \['queue'\]"),
        (empty, "neither a released checkpoint"),
    ],
)
def test_what_does_not_fit_is_named(damage: Any, message: str, tmp_path: Path) -> None:
    state = released("c3d")
    damage(state)
    torch.save(state, tmp_path / "m.pth.tar")
    with pytest.raises(ValueError, match=message):
        convert(tmp_path / "m.pth.tar", tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


class Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("evil"),))


def test_nothing_but_tensors_is_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(released("c3d") | {"scheduler": Evil()}, tmp_path / "m.pth.tar")
    with pytest.raises(ValueError, match="without unpickling objects, which is refused"):
        load_model(tmp_path / "m.pth.tar")
    assert not (tmp_path / "evil").exists()


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(released("c3d"), tmp_path / "m.pth.tar")
    out = str(tmp_path / "o.safetensors")
    assert main([str(tmp_path / "m.pth.tar"), out, "--half"]) == 0
    said = capsys.readouterr().out
    assert "c3d, 27.66 M parameters" in said
    assert "heads rsp, avid (linear)" in said
    assert main([str(tmp_path / "m.pth.tar"), str(tmp_path / "o.pth")]) == 2
    assert "named *.safetensors" in capsys.readouterr().err


def torchvision_features(network: torch.nn.Module, clip: Tensor) -> Tensor:
    """What torchvision's own network pools, by a hook on its pool."""
    seen: list[Tensor] = []
    network.avgpool.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    with torch.inference_mode():
        network.eval()(clip)
    return seen[0]


def test_a_file_of_torchvision_has_the_digest_that_its_name_says(tmp_path: Path) -> None:
    path = tmp_path / "r3d_18-b3b3357e.pth"
    stage = {"layer4.0.conv1.0.weight": torch.zeros(1, 1, 3, 3, 3)}
    torch.save({"stem.0.weight": torch.zeros(1, 1, 1, 1, 1)} | stage, path)
    with pytest.raises(ValueError, match="is damaged: its SHA-256 does not begin with b3b3357e"):
        load_model(path)


PRESETS = {
    "r3d_18": ((0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)),
    "swin3d_t": (IMAGENET_MEAN, IMAGENET_STD),
}


@pytest.mark.parametrize("name", ["r3d_18", "swin3d_t"])
def test_torchvision_weights_give_the_features_of_torchvision(name: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    network = getattr(video, name)(num_classes=5)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            module.running_mean.uniform_(-0.1, 0.1)
    torch.save(network.state_dict(), tmp_path / "theirs.pth")
    before = torch.get_rng_state()
    direct = load_model(tmp_path / "theirs.pth")
    assert torch.equal(torch.get_rng_state(), before)
    assert direct.arch == name
    assert (direct.num_frames, direct.size) == ((32, 224) if name == "swin3d_t" else (16, 112))
    torch.manual_seed(2)  # the random heads do not depend on it
    query = convert(tmp_path / "theirs.pth", tmp_path / "ours.safetensors")
    key = load_model(tmp_path / "ours.safetensors", "key").state_dict()
    # Clips come with ImageNet's normalisation; torchvision's network gets its own.
    pixels = torch.rand(1, 3, 8, 64, 64)
    mean, std = (torch.tensor(part).view(3, 1, 1, 1) for part in PRESETS[name])
    expected = torchvision_features(network, (pixels - mean) / std)
    mean, std = (torch.tensor(v).view(3, 1, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    clip = (pixels - mean) / std
    for branch in (direct, query):
        with torch.inference_mode():
            assert torch.allclose(branch.features(clip), expected, atol=1e-4)
        assert all(torch.equal(tensor, key[k]) for k, tensor in branch.state_dict().items())
        assert branch.metadata["source"] == "torchvision"
        assert branch.metadata["heads"] == "random (torchvision weights have none)"
        assert ("normalisation" in branch.spec()) == (name == "r3d_18")
    assert query.metadata["converted_from"] == "theirs.pth"


def on_meta(name: str) -> dict[str, Tensor]:
    with torch.device("meta"):
        return dict(getattr(video, name)().state_dict())


@pytest.mark.parametrize("name", TORCHVISION_ARCHS)
def test_every_torchvision_network_is_recognised(name: str) -> None:
    assert torchvision_arch(on_meta(name), Path("m.pth")) == name


@pytest.mark.parametrize("name", ["mvit_v1_b", "swin3d_s", "swin3d_b"])
def test_torchvision_networks_without_an_encoder_are_named(name: str) -> None:
    with pytest.raises(ValueError, match=rf"{name}.*supported are r3d_18, .*, swin3d_t"):
        torchvision_arch(on_meta(name), Path("m.pth"))


def test_size_of_mvit_is_read_from_its_tables(tmp_path: Path) -> None:
    encoder = create_encoder("mvit_v2_s", num_frames=4, size=64)
    state = {f"module.{k}": v for k, v in encoder.state_dict().items()}
    torch.save(state | {"module.head.1.bias": torch.zeros(400)}, tmp_path / "m.pth")
    branch = load_model(tmp_path / "m.pth")
    assert branch.spec()["encoder_options"] == {"num_frames": 4, "size": 64}
    assert branch.features(torch.zeros(1, 3, 4, 64, 64)).shape == (1, 768, 2, 2, 2)
    del state["module.blocks.0.attn.rel_pos_t"]
    torch.save(state, tmp_path / "m.pth")
    with pytest.raises(ValueError, match="looks like mvit_v2_s"):
        load_model(tmp_path / "m.pth")


def test_torchvision_weights_that_do_not_fit_are_named(tmp_path: Path) -> None:
    state = create_encoder("mc3_18").state_dict()
    state["layer9.weight"] = state.pop("layer1.0.conv2.0.weight")
    torch.save(state, tmp_path / "m.pth")
    message = r"missing \['encoder.layer1.0.conv2.0.weight'\], unexpected \['encoder.layer9.weight'"
    with pytest.raises(ValueError, match=message):
        load_model(tmp_path / "m.pth")
    torch.save({f"conv{i}": torch.zeros(1) for i in range(10)}, tmp_path / "m.pth")
    with pytest.raises(ValueError, match=r"nor a state dict of torchvision's .* and 2 more"):
        load_model(tmp_path / "m.pth")


def test_models_of_one_network_are_averaged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = []
    for seed in range(3):
        torch.manual_seed(seed)
        pair = [Branch("resnet18_fine", {"width": 2}, num_frames=8, size=32) for _ in range(2)]
        pair[0].encoder.bn1.running_mean.fill_(seed)  # type: ignore[union-attr, operator]
        made.append(save_model(tmp_path / f"{seed}.safetensors", *pair))
    out = tmp_path / "mean.safetensors"
    assert main([str(made[0]), str(out), "--average", str(made[1]), str(made[2])]) == 0
    for name in ("query", "key"):
        found = load_model(out, name).state_dict()
        parts = [load_model(path, name).state_dict() for path in made]
        for entry, value in found.items():
            mean = sum(part[entry].double() for part in parts) / 3
            torch.testing.assert_close(value, mean.to(value.dtype))
    branch = load_model(out)
    assert branch.encoder.bn1.running_mean.eq(1).all()  # type: ignore[union-attr, operator]
    hashes = [load_model(path).hash for path in made]
    assert branch.metadata["converted_from_sha256"] == hashes[0]
    assert branch.metadata["averaged_with_sha256"].split() == hashes[1:]

    other = Branch("resnet18_fine", {"width": 4}, num_frames=8, size=32)
    save_model(tmp_path / "wide.safetensors", other, other)
    capsys.readouterr()
    words = [str(made[0]), str(tmp_path / "no.safetensors"), "--average"]
    assert main([*words, str(tmp_path / "wide.safetensors")]) == 2
    assert "only models of the same network can be averaged" in capsys.readouterr().err
    assert not (tmp_path / "no.safetensors").exists()
