"""Modules of one's own as branches, against what is known by hand."""

import pytest
import torch
from torch import nn

from rspnet import save_model
from rspnet.models import CellGeometry, from_module
from rspnet.models.branch import IMAGENET_MEAN, IMAGENET_STD

CLIP = {"num_frames": 4, "size": 8}


class Recorder(nn.Module):
    """Gives the clip itself, pooled to cells of 2 x 4 x 4, and keeps what it was given."""

    def __init__(self):
        super().__init__()
        self.pool = nn.AvgPool3d((2, 4, 4))
        self.given = []

    def forward(self, clips):
        self.given.append(clips)
        return self.pool(clips)


class Tokens(nn.Module):
    """Patches of 2 x 4 x 4 pixels as tokens behind a class token, in a tuple."""

    def __init__(self):
        super().__init__()
        self.class_token = nn.Parameter(torch.arange(6.0).view(1, 1, 6))
        self.patches = nn.Conv3d(3, 6, (2, 4, 4), stride=(2, 4, 4))
        self.norm = nn.LayerNorm(6)

    def forward(self, clips):
        x = self.patches(clips).flatten(2).transpose(1, 2)
        x = self.norm(torch.cat([self.class_token.expand(len(x), -1, -1), x], dim=1))
        return x, None


class Stop(nn.Module):
    def forward(self, clips):
        raise RuntimeError("no further")


def test_features_and_embedding_are_those_of_the_module():
    module = Recorder()
    branch = from_module(module, **CLIP, name="mine")
    clips = torch.randn(2, 3, 4, 8, 8)
    assert branch.encoder.module is module
    assert torch.equal(branch.features(clips), module.pool(clips))
    expected = nn.functional.normalize(clips.mean((2, 3, 4)), dim=1)
    torch.testing.assert_close(branch(clips)["features"], expected)
    assert (branch.arch, branch.heads, branch.num_features) == ("mine", ("features",), 3)
    assert branch.cell_geometry == CellGeometry((2, 4, 4), (0.5, 1.5, 1.5))


def test_normalisation_and_layout_are_what_the_module_was_made_for():
    module = Recorder()
    mean, std = (0.5, 0.4, 0.3), (0.1, 0.2, 0.5)
    branch = from_module(module, **CLIP, mean=mean, std=std)
    pixels = torch.rand(1, 3, 4, 8, 8)

    def normalised(mean, std):
        return (pixels - torch.tensor(mean).view(3, 1, 1, 1)) / torch.tensor(std).view(3, 1, 1, 1)

    branch.features(normalised(IMAGENET_MEAN, IMAGENET_STD))
    torch.testing.assert_close(module.given[-1], normalised(mean, std))
    frames_first = nn.Sequential(Recorder(), nn.Identity())
    with pytest.raises(ValueError, match="layout"):
        from_module(frames_first, **CLIP, layout="THW")
    from_module(frames_first[0], num_frames=8, size=8, layout="BTCHW")
    assert frames_first[0].given[-1].shape == (1, 8, 3, 8, 8)


def test_tokens_become_a_grid_in_their_order_and_the_prefix_goes():
    module = Tokens().eval()
    branch = from_module(module, **CLIP, tokens=(2, 2, 2), num_prefix_tokens=1)
    clips = torch.randn(2, 3, 4, 8, 8)
    found, tokens = branch.features(clips), module(clips)[0]
    assert found.shape == (2, 6, 2, 2, 2)
    assert torch.equal(found[1, :, 1, 0, 1], tokens[1, 1 + 5])  # 1 x 4 + 0 x 2 + 1


def test_a_layer_is_taken_before_anything_behind_it_runs():
    network = nn.Sequential(nn.Conv3d(3, 5, 2, stride=2), nn.ReLU(inplace=True), Stop())
    branch = from_module(network, **CLIP, features="0")
    clips = torch.randn(1, 3, 4, 8, 8)
    assert torch.equal(branch.features(clips), network[0](clips))
    assert branch.features(clips).min() < 0
    branch.features(clips.requires_grad_()).sum().backward()
    assert clips.grad.abs().sum() > 0
    assert not network[0]._forward_hooks


def test_a_torchvision_network_is_the_encoder_of_the_same_weights():
    from torchvision.models.video import mc3_18

    from rspnet import create_encoder

    own = create_encoder("mc3_18").eval()
    network = mc3_18(weights=None)
    network.load_state_dict(own.state_dict(), strict=False)
    wrapped = from_module(
        network, num_frames=2, size=16, features="layer4", cell_geometry=own.cell_geometry
    )
    clips = torch.randn(1, 3, 2, 16, 16)
    assert torch.equal(wrapped.features(clips), own(clips))
    assert wrapped.cell_geometry == own.cell_geometry


def test_projection_is_the_head():
    projection = nn.Linear(3, 2)
    branch = from_module(Recorder(), **CLIP, projection=projection)
    clips = torch.randn(1, 3, 4, 8, 8)
    expected = nn.functional.normalize(projection(clips.mean((2, 3, 4))), dim=1)
    torch.testing.assert_close(branch(clips)["projection"], expected)
    with pytest.raises(ValueError, match=r"heads are \['projection'\], got 'rsp'"):
        branch.head("rsp")


def test_untrained_weights_are_drawn_anew_or_shuffled_and_the_own_ones_stay():
    module = Tokens()
    branch = from_module(module, **CLIP, tokens=(2, 2, 2), num_prefix_tokens=1)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    torch.manual_seed(0)
    other = branch.untrained()
    new = other.encoder.module.state_dict()
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    assert not torch.equal(new["patches.weight"], before["patches.weight"])
    assert torch.equal(new["norm.weight"], torch.ones(6))
    token = new["class_token"].flatten()
    assert torch.equal(token.sort().values, torch.arange(6.0))  # nothing resets it
    assert not torch.equal(token, torch.arange(6.0))
    assert (branch.hash != "", other.hash) == (True, "")
    torch.manual_seed(0)
    assert torch.equal(branch.untrained().encoder.module.patches.weight, new["patches.weight"])


def test_the_hash_is_of_weights_and_of_what_the_module_does():
    torch.manual_seed(0)
    first, same = Tokens(), Tokens()
    same.load_state_dict(first.state_dict())
    options = {**CLIP, "tokens": (2, 2, 2), "num_prefix_tokens": 1}
    one = from_module(first, **options).hash
    assert from_module(same, **options).hash == one
    same.norm.eps = 1.0  # no weight
    assert from_module(same, **options).hash != one


@pytest.mark.parametrize(
    ("module", "options", "message"),
    [
        (Recorder(), {"tokens": (2, 2, 2)}, r"tokens have the shape \(B, N, C\), got \(1, 3, 2"),
        (Tokens(), {}, r"features have the shape .* got \(1, 9, 6\) for B = 1: .*tokens="),
        (Tokens(), {"tokens": (2, 2, 2)}, r"2 x 2 x 2 = 8, the module gives 9 .*num_prefix"),
        (Tokens(), {"tokens": (2, 2)}, r"\(T', H', W'\), got \(2, 2\)"),
        (Tokens(), {"tokens": (2, 2, 2.5)}, r"whole numbers .* got \(2, 2, 2.5\)"),
        (Tokens(), {"num_prefix_tokens": -1}, "num_prefix_tokens is a whole number"),
        (nn.Sequential(Recorder(), nn.Flatten()), {}, "name a layer before the pooling"),
        (Recorder(), {"features": "pol"}, "got 'pol'; such as pool"),
        (Recorder(), {"mean": (0.5,)}, "normalisation is mean and standard deviation"),
        (Recorder(), {"std": (1, 1, 0)}, "normalisation is mean and standard deviation"),
        (Recorder(), {"num_frames": 0}, "num_frames is a whole number"),
        (Recorder(), {"size": 2}, r"fails on clips \(1, 3, 4, 2, 2\)"),
        (Recorder(), {"projection": nn.Linear(4, 2)}, r"the projection fails on .* \(1, 3\)"),
        (Recorder(), {"projection": "linear"}, "projection is a torch.nn.Module"),
        (nn.Conv2d(3, 4, 3), {}, "the module fails on clips"),
        (lambda clips: clips, {}, "module is a torch.nn.Module"),
    ],
)
def test_what_does_not_fit_is_said_at_once(module, options, message):
    with pytest.raises(ValueError, match=message):
        from_module(module, **{**CLIP, **options})


def test_clips_of_another_size_do_not_fit_tokens():
    branch = from_module(Tokens(), **CLIP, tokens=(2, 2, 2), num_prefix_tokens=1)
    with pytest.raises(ValueError, match="the module gives 19 for clips of 4 x 12 x 12"):
        branch.features(torch.zeros(1, 3, 4, 12, 12))


def test_it_is_not_saved_as_a_model_file(tmp_path):
    branch = from_module(Recorder(), **CLIP)
    with pytest.raises(ValueError, match="keep its weights in a file of your own"):
        save_model(tmp_path / "m.safetensors", branch, branch)
    assert not list(tmp_path.iterdir())
