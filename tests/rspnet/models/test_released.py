"""The paper's other encoders: sizes, the release's parameter names, where their cells lie."""

import pytest
import torch
from torch import nn

from rspnet.models import Branch, CellGeometry, create_encoder

PAPER = {
    # name: input (T, H, W), features, parameters in millions
    "c3d": ((16, 112, 112), (512, 2, 7, 7), 27.66),
    "r2plus1d": ((16, 112, 112), (512, 2, 7, 7), 14.37),
    "resnet18": ((16, 112, 112), (512, 1, 4, 4), 33.20),
    "resnet34": ((16, 112, 112), (512, 1, 4, 4), None),
    "resnet50": ((16, 112, 112), (2048, 1, 4, 4), None),
    "s3dg": ((16, 224, 224), (1024, 2, 7, 7), 8.68),
}


@pytest.mark.parametrize("name", PAPER)
def test_sizes_are_those_of_the_paper(name: str) -> None:
    size, features, millions = PAPER[name]
    with torch.device("meta"):
        encoder = create_encoder(name)
        assert tuple(encoder(torch.empty(1, 3, *size)).shape) == (1, *features)
    assert encoder.num_features == features[0]
    if millions is not None:
        count = sum(p.numel() for p in encoder.parameters())
        assert round(count / 1e6, 2) == millions


def test_s3dg_at_112_pixels() -> None:
    with torch.device("meta"):
        assert create_encoder("s3dg")(torch.empty(1, 3, 16, 112, 112)).shape == (1, 1024, 2, 3, 3)


RELEASED = {
    "c3d": {"conv1.weight", "conv1.bias", "bn2.running_var", "conv3a.weight", "bn5b.bias"},
    "r2plus1d": {
        "conv1.spatial_conv.weight", "conv1.bn.weight", "conv1.temporal_conv.weight",
        "bn1.weight", "conv2.block1.conv1.bn.bias",
        "conv5.block1.downsampleconv.spatial_conv.weight",
        "conv5.block1.downsamplebn.running_mean", "conv3.block1.bn2.weight",
    },
    "s3dg": {
        "feature.sepConv1.sep_conv.0.conv3d.weight", "feature.sepConv1.sep_conv.1.bn.weight",
        "feature.sepConv1.excitation.bias", "feature.basicConv3d.conv3d.weight",
        "feature.sep_conv2.excitation.weight", "feature.sepInc_3b.branch0.conv3d.weight",
        "feature.sepInc_4f.branch1.1.sep_conv.0.bn.running_mean",
        "feature.sepInc_5c.branch3.1.conv3d.weight",
    },
}  # fmt: skip


@pytest.mark.parametrize("name", RELEASED)
def test_parameter_names_follow_the_release(name: str) -> None:
    with torch.device("meta"):
        names = set(create_encoder(name).state_dict())
    assert names >= RELEASED[name]
    if name == "c3d":
        assert "conv1.spatial_conv.weight" not in names
        assert len([n for n in names if n.endswith("running_mean")]) == 8
    if name == "r2plus1d":
        assert not any("bias" in n and "conv.bias" in n for n in names)
        assert not any(".blocks." in n for n in names)
        assert "conv2.block1.downsampleconv.bn.weight" not in names


def test_batch_norm_of_s3dg_is_the_release_s() -> None:
    norms = [m for m in create_encoder("s3dg").modules() if isinstance(m, nn.BatchNorm3d)]
    assert {(m.eps, m.momentum) for m in norms} == {(1e-3, 1e-3)}


def test_gates_of_s3dg_scale_channels() -> None:
    unit = create_encoder("s3dg").feature.sep_conv2.eval()
    x = torch.randn(2, 64, 3, 5, 5)
    with torch.no_grad():
        plain = unit.sep_conv(x)
        gate = torch.sigmoid(
            plain.mean(dim=(2, 3, 4)) @ unit.excitation.weight.flatten(1).T + unit.excitation.bias
        )
        torch.testing.assert_close(unit(x), plain * gate[..., None, None, None])


def test_geometry_by_hand() -> None:
    # A pool of 2 with stride 2 stands between two pixels, one more between two of its cells.
    pooled = CellGeometry().then((2, 2, 2), (2, 2, 2), (0, 0, 0))
    assert pooled == CellGeometry((2, 2, 2), (0.5, 0.5, 0.5))
    assert pooled.then((2, 2, 2), (2, 2, 2), (0, 0, 0)).first == (1.5, 1.5, 1.5)
    assert CellGeometry().then((3, 5, 7), (1, 2, 2), (1, 2, 3)).first == (0, 0, 0)
    assert create_encoder("c3d", width=1).cell_geometry == CellGeometry(
        (8, 16, 16), (3.5, 7.5, 7.5)
    )
    with torch.device("meta"):
        geometry = {n: create_encoder(n).cell_geometry for n in ("s3dg", "r2plus1d", "resnet50")}
    assert geometry["s3dg"] == CellGeometry((8, 32, 32), (2, 8, 8))
    assert geometry["r2plus1d"] == CellGeometry((8, 16, 16))
    assert geometry["resnet50"] == CellGeometry((16, 32, 32))


@pytest.mark.parametrize("name", ["c3d", "r2plus1d", "resnet34", "resnet50"])
@pytest.mark.parametrize("size", [(8, 16, 16), (9, 35, 51)])
def test_a_branch_of_any_size_trains(name: str, size: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    branch = Branch(name, {"width": 2})
    z = branch(torch.randn(2, 3, *size))
    loss = (z["rsp"] * z["avid"]).sum()
    loss.backward()
    grads = [p.grad for p in branch.parameters()]
    assert all(g is not None and torch.isfinite(g).all() for g in grads)


@pytest.mark.parametrize("name", ["c3d", "s3dg"])
def test_a_clip_that_is_too_small_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="takes clips of at least"):
        create_encoder(name)(torch.zeros(1, 3, 4, 16, 16))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("c3d", {"width": 0}, "width is a positive"),
        ("r2plus1d", {"layers": (1, 0, 1, 1)}, "positive block counts"),
        ("resnet18", {"block": "wide"}, "block is 'basic' or 'bottleneck'"),
        ("s3dg", {"width": 3}, "does not take these options"),
    ],
)
def test_wrong_options_are_named(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        create_encoder(name, **options)
