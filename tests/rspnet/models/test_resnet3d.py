"""The encoder, heads and branch."""

import pytest
import torch

from rspnet.models import Branch, LinearHead, MLPHead, create_encoder, list_encoders


def test_paper_network_has_the_paper_size():
    with torch.device("meta"):
        encoder = create_encoder("resnet18")
        features = encoder(torch.empty(1, 3, 16, 112, 112))
    assert sum(p.numel() for p in encoder.parameters()) == 33_203_904  # 33.20 M
    assert features.shape == (1, 512, 1, 4, 4)
    assert encoder.num_features == 512


def test_parameter_names_follow_the_release():
    with torch.device("meta"):
        names = set(create_encoder("resnet18").state_dict())
    expected = {"conv1.weight", "bn1.running_mean", "layer1.0.conv1.weight", "layer4.1.bn2.bias"}
    assert expected <= names
    assert {"layer2.0.downsample.0.weight", "layer2.0.downsample.1.weight"} <= names
    assert not any(name.startswith("layer1.0.downsample") for name in names)


def test_fine_network_has_4_by_7_by_7_cells():
    with torch.device("meta"):
        features = create_encoder("resnet18_fine")(torch.empty(2, 3, 16, 112, 112))
    assert features.shape == (2, 128, 4, 7, 7)


@pytest.mark.parametrize(("frames", "height", "width"), [(1, 16, 16), (7, 33, 51), (16, 64, 96)])
def test_any_input_size_works(frames, height, width):
    encoder = create_encoder("resnet18_fine", width=2).eval()
    features = encoder(torch.randn(1, 3, frames, height, width))
    assert features.shape[:2] == (1, 16)
    assert torch.isfinite(features).all()


def test_unknown_encoder_names_the_nearest():
    with pytest.raises(ValueError, match=r"unknown encoder 'resnet81'.*Did you mean 'resnet18'"):
        create_encoder("resnet81")
    with pytest.raises(ValueError, match="does not take these options.*depth"):
        create_encoder("resnet18", depth=3)
    with pytest.raises(ValueError, match="three positive integers"):
        create_encoder("resnet18_fine", stem_stride=(1, 2))
    assert list_encoders() == sorted(list_encoders())


@pytest.mark.parametrize("head", [LinearHead(6, 128), MLPHead(6)])
def test_heads_pool_features_first(head):
    features = torch.randn(3, 6, 2, 4, 5)
    torch.testing.assert_close(head(features), head(features.mean(dim=(2, 3, 4))))
    assert head(features).shape == (3, 128)
    with pytest.raises(ValueError, match=r"\(B, C, T', H', W'\)"):
        head(features[0])


def test_branch_keeps_its_heads_apart():
    branch = Branch("resnet18_fine", {"width": 2}).eval()
    features = branch.features(torch.randn(2, 3, 4, 32, 32))
    embeddings = branch.project(features)
    assert branch.heads == ("rsp", "avid")
    for name in branch.heads:
        assert embeddings[name].shape == (2, 128)
        torch.testing.assert_close(embeddings[name].norm(dim=1), torch.ones(2))
        raw = branch.head(name)(features)
        torch.testing.assert_close(embeddings[name], raw / raw.norm(dim=1, keepdim=True))
    assert not torch.allclose(embeddings["rsp"], embeddings["avid"])
    with pytest.raises(ValueError, match="heads are"):
        branch.head("motion")
    with pytest.raises(ValueError, match=r"\(B, 3, T, H, W\)"):
        branch.features(torch.randn(2, 1, 4, 32, 32))
