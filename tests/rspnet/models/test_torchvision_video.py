"""torchvision's video networks: the same features as in torchvision, and where their cells lie."""

import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import video
from torchvision.models.video import mvit

from rspnet.models import Branch, CellGeometry, create_encoder, encoder_info, list_encoders

CNNS = ("r3d_18", "mc3_18", "r2plus1d_18", "s3d")
ALL = (*CNNS, "mvit_v2_s", "swin3d_t")
# Clips that give a second cell in each direction, whose support lies inside the clip.
SMALL = {"s3d": (16, 64, 64), "mvit_v2_s": (8, 64, 64), "swin3d_t": (8, 64, 64)}
CLASSIFIERS = ("fc.", "classifier.", "head.")


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    """Its state dict without the classifier."""
    return {k: v for k, v in network.state_dict().items() if not k.startswith(CLASSIFIERS)}


def torchvision_mvit(num_frames: int, size: int) -> nn.Module:
    """torchvision's own mvit_v2_s for another size, which its function has no argument for."""
    full = mvit.MViT

    def small(**settings: Any) -> nn.Module:
        return full(**settings | {"temporal_size": num_frames, "spatial_size": (size, size)})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mvit, "MViT", small)
        return mvit.mvit_v2_s()


@cache
def network_and_encoder(name: str) -> tuple[nn.Module, nn.Module]:
    """torchvision's network with random weights and statistics, and the encoder with the same."""
    torch.manual_seed(0)
    if name == "mvit_v2_s":
        frames, size, _ = SMALL[name]
        network, encoder = (
            torchvision_mvit(frames, size),
            create_encoder(name, num_frames=frames, size=size),
        )
    else:
        network, encoder = getattr(video, name)(num_classes=7), create_encoder(name)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.8, 1.2)
    encoder.load_state_dict(weights_of(network))
    return network.eval(), encoder.eval()


@pytest.mark.parametrize("name", [*CNNS, "swin3d_t"])
def test_mean_and_classifier_give_the_logits_of_torchvision(name: str) -> None:
    network, encoder = network_and_encoder(name)
    # torchvision's S3D averages over all cells if they are 2 x 7 x 7, not at any size.
    size = (13, 209, 210) if name == "s3d" else (7, 50, 63)
    clip = torch.randn(1 if name == "s3d" else 2, 3, *size)
    with torch.inference_mode():
        features = encoder(clip)
        assert features.shape[1] == encoder.num_features
        x = features.mean(dim=(2, 3, 4))
        if name == "s3d":
            logits = network.classifier(x[..., None, None, None]).flatten(1)
        else:
            logits = (network.head if name == "swin3d_t" else network.fc)(x)
        torch.testing.assert_close(logits, network(clip), rtol=1e-5, atol=1e-5)


def test_cells_of_mvit_are_the_tokens_of_torchvision() -> None:
    network, encoder = network_and_encoder("mvit_v2_s")
    clip = torch.randn(2, 3, *SMALL["mvit_v2_s"])
    tokens: list[Tensor] = []
    handle = network.norm.register_forward_hook(lambda _module, _input, out: tokens.append(out))
    with torch.inference_mode():
        network(clip)
        features = encoder(clip)
    handle.remove()
    assert features.shape == (2, 768, 4, 2, 2)
    for p in [(0, 0, 0), (2, 0, 1), (3, 1, 1)]:  # time first, then rows
        token = tokens[0][:, 1 + p[0] * 4 + p[1] * 2 + p[2]]
        torch.testing.assert_close(features[:, :, *p], token, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_default_sizes_and_names_are_those_of_torchvision(name: str) -> None:
    with torch.device("meta"):
        encoder, network = create_encoder(name), getattr(video, name)()
        info = encoder_info(name)
        features = encoder(torch.empty(1, 3, info.num_frames, info.size, info.size))
    shapes = {k: v.shape for k, v in encoder.state_dict().items()}
    assert shapes == {k: v.shape for k, v in weights_of(network).items()}
    frames = {"mc3_18": 16, "mvit_v2_s": 8, "swin3d_t": 16}.get(name, 2)
    assert features.shape == (1, encoder.num_features, frames, 7, 7)


class Token(nn.Module):
    """A layer that adds nothing, so that a token sees its own place alone."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, *inputs: Any) -> Any:
        out = self.layer(*inputs)
        return (0 * out[0].detach(), out[1]) if isinstance(out, tuple) else 0 * out.detach()


def localise(module: nn.Module) -> None:
    """Leave only what says where a cell lies: centre taps, strides, pools and patches."""
    for name, child in list(module.named_children()):
        if name in ("attn", "mlp"):
            setattr(module, name, Token(child))
        elif name == "branch3":  # its pool of stride 1 widens a cell and moves none
            nn.init.zeros_(child[1][0].weight)
        elif isinstance(child, nn.MaxPool3d):  # a max passes the gradient to one place only
            pool = nn.AvgPool3d(child.kernel_size, child.stride, child.padding)
            setattr(module, name, pool)
        elif isinstance(child, nn.Conv3d) and child.padding != (0, 0, 0):
            middle = tuple(k // 2 for k in child.kernel_size)
            tap = child.weight.data[:, :, *middle].abs()
            child.weight.data.zero_()
            child.weight.data[:, :, *middle] = tap
        else:
            localise(child)


@pytest.mark.parametrize("name", ALL)
def test_gradient_of_a_cell_is_centred_where_geometry_says(name: str) -> None:
    size = SMALL.get(name, (16, 32, 32))
    options = {"num_frames": size[0], "size": size[1]} if name == "mvit_v2_s" else {}
    encoder = create_encoder(name, **options).eval()
    localise(encoder)
    clip = torch.rand(1, 3, *size, requires_grad=True)
    features = encoder(clip)
    p = (1, 1, 1)
    # Channels weighted unevenly: those of a normalised token sum to a constant.
    weights = torch.linspace(0, 1, features.shape[1])
    (gradient,) = torch.autograd.grad((features[0, :, *p] * weights).sum(), clip)
    places = gradient[0].abs().sum(0).nonzero()
    low, high = places.amin(0), places.amax(0)
    geometry = encoder.cell_geometry
    expected = [f + s * i for f, s, i in zip(geometry.first, geometry.stride, p, strict=True)]
    assert ((low + high) / 2).tolist() == expected


def test_geometry_by_hand() -> None:
    with torch.device("meta"):
        geometry = {name: create_encoder(name).cell_geometry for name in ALL}
    assert geometry["r3d_18"] == geometry["r2plus1d_18"] == CellGeometry((8, 16, 16))
    assert geometry["mc3_18"] == CellGeometry((1, 16, 16))
    assert geometry["s3d"] == CellGeometry((8, 32, 32), (2, 8, 8))
    assert geometry["mvit_v2_s"] == CellGeometry((2, 32, 32))
    assert geometry["swin3d_t"] == CellGeometry((2, 32, 32), (0.5, 15.5, 15.5))


@pytest.mark.parametrize("name", [n for n in ALL if n != "mvit_v2_s"])
def test_odd_sizes_work_or_are_refused(name: str) -> None:
    _, encoder = network_and_encoder(name)
    least = 5 if name == "s3d" else 1
    for size in [(1, 1, 1), (3, 8, 8), (1, 16, 16), (5, 17, 17), (17, 33, 20), (0, 8, 8)]:
        clip = torch.zeros(1, 3, *size)
        if size[0] < least:
            with pytest.raises(ValueError, match=rf"{name} takes clips of at least {least} frames"):
                encoder(clip)
        else:
            with torch.inference_mode():
                features = encoder(clip)
            geometry = encoder.cell_geometry
            for cells, stride, pixels in zip(
                features.shape[2:], geometry.stride, size, strict=True
            ):
                assert abs(cells - pixels / stride) < 1


def test_mvit_takes_the_size_of_its_options_alone() -> None:
    _, encoder = network_and_encoder("mvit_v2_s")
    with pytest.raises(ValueError, match=r"got 16 frames of 112 x 112.* num_frames=16, size=112"):
        encoder(torch.zeros(1, 3, 16, 112, 112))
    with pytest.raises(ValueError, match=r"got 8 frames of 64 x 80.* square clips"):
        encoder(torch.zeros(1, 3, 8, 64, 80))
    with pytest.raises(ValueError, match="num_frames=8, size=16"):
        create_encoder("mvit_v2_s", num_frames=8, size=16)
    with pytest.raises(ValueError, match="does not take these options"):
        create_encoder("mvit_v2_s", depth=3)
    with torch.device("meta"):
        for frames, size, cells in [(1, 29, (1, 1, 1)), (7, 50, (4, 2, 2)), (8, 112, (4, 4, 4))]:
            odd = create_encoder("mvit_v2_s", num_frames=frames, size=size)
            assert odd(torch.empty(1, 3, frames, size, size)).shape == (1, 768, *cells)


@pytest.mark.parametrize("name", ["mc3_18", "swin3d_t"])
def test_a_branch_trains(name: str) -> None:
    branch = Branch(name)
    z = branch(torch.randn(2, 3, 4, 32, 32))
    (z["rsp"] * z["avid"]).sum().backward()
    grads = [p.grad for p in branch.parameters()]
    assert all(g is not None and torch.isfinite(g).all() for g in grads)


def test_every_encoder_says_what_it_expects() -> None:
    infos = [encoder_info(name) for name in list_encoders()]
    assert [info.name for info in infos] == list_encoders()
    assert {info.num_frames for info in infos} == {1, 16, 32}
    assert encoder_info("swin3d_t").size == encoder_info("s3dg").size == 224
    assert encoder_info("resnet18").size == encoder_info("r3d_18").size == 112
    with pytest.raises(ValueError, match="Did you mean 'swin3d_t'"):
        encoder_info("swin3d_s")


def test_torchvision_is_imported_on_use_alone() -> None:
    code = "import rspnet.models, sys; print('torchvision' in sys.modules)"
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
