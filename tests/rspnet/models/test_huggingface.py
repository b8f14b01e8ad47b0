"""VideoMAE and V-JEPA 2 as branches: small ones of random weights, from their configurations."""

import sys
from types import SimpleNamespace

import pytest
import torch

from rspnet.models.huggingface import from_huggingface

VIDEOMAE = {
    "image_size": 32, "num_frames": 4, "hidden_size": 16, "num_hidden_layers": 1,
    "num_attention_heads": 2, "intermediate_size": 16,
}  # fmt: skip
VJEPA2 = {
    "crop_size": 32, "frames_per_clip": 4, "hidden_size": 24, "num_hidden_layers": 1,
    "num_attention_heads": 2, "mlp_ratio": 1.0, "pred_hidden_size": 24,
    "pred_num_attention_heads": 2, "pred_num_hidden_layers": 1,
}  # fmt: skip


@pytest.fixture
def transformers():
    return pytest.importorskip("transformers", reason="pip install transformers")


def videomae(transformers, kind="VideoMAEModel"):
    return getattr(transformers, kind)(transformers.VideoMAEConfig(**VIDEOMAE)).eval()


def vjepa2(transformers, kind="VJEPA2Model"):
    return getattr(transformers, kind)(transformers.VJEPA2Config(**VJEPA2)).eval()


def test_videomae_gives_its_tokens_on_their_grid(transformers):
    model = videomae(transformers)
    branch = from_huggingface(model)
    clips = torch.randn(1, 3, 4, 32, 32)
    with torch.no_grad():
        tokens = model(clips.transpose(1, 2)).last_hidden_state
        found = branch.features(clips)
    assert found.shape == (1, 16, 2, 2, 2)
    torch.testing.assert_close(found[0, :, 1, 0, 1], tokens[0, 5])
    assert branch.cell_geometry.stride == (2, 16, 16)
    assert (branch.arch, branch.num_frames, branch.size) == ("VideoMAE", 4, 32)
    with pytest.raises(ValueError, match="num_frames of this VideoMAE is 4, got 8"):
        from_huggingface(model, num_frames=8)


def test_vjepa2_takes_other_numbers_of_frames(transformers):
    model = vjepa2(transformers)
    branch = from_huggingface(model, num_frames=8)
    clips = torch.randn(1, 3, 8, 32, 32)
    with torch.no_grad():
        tokens = model(clips.transpose(1, 2), skip_predictor=True).last_hidden_state
        found = branch.features(clips)
    torch.testing.assert_close(found.flatten(2).transpose(1, 2), tokens)
    assert found.shape == (1, 24, 4, 2, 2)
    with pytest.raises(ValueError, match="is a multiple of 2, got 7"):
        from_huggingface(model, num_frames=7)


def test_a_head_on_the_model_is_passed_over_and_a_folder_is_read(transformers, tmp_path):
    model = videomae(transformers, "VideoMAEForVideoClassification")
    clips = torch.randn(1, 3, 4, 32, 32)
    with torch.no_grad():
        expected = from_huggingface(model).features(clips)
        model.save_pretrained(tmp_path / "mine")
        branch = from_huggingface(tmp_path / "mine")
        torch.testing.assert_close(branch.features(clips), expected)
    assert branch.arch == "mine"


def test_another_model_is_refused(transformers, tmp_path):
    config = transformers.ViTConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1)
    with pytest.raises(ValueError, match="expected a VideoMAE or V-JEPA 2 .* got vit"):
        from_huggingface(transformers.ViTModel(config))
    with pytest.raises(ValueError, match="can't be read as a model of transformers"):
        from_huggingface(tmp_path)


def test_maps_and_controls_of_videomae(transformers):
    from analysis import example_views, similarity_ledger
    from analysis.core.clip import View

    branch = from_huggingface(videomae(transformers))
    c_i, c_j = (View(view.frames[:4], view.info) for view in example_views(2))
    assert similarity_ledger(branch, branch, "features", c_i, c_j).completeness_error < 1e-5
    own, other = branch.encoder.module, branch.untrained().encoder.module
    weights = (m.embeddings.patch_embeddings.projection.weight for m in (own, other))
    assert not torch.equal(*weights)


def test_without_transformers_the_remedy_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ValueError, match="pip install transformers"):
        from_huggingface(tmp_path)
    with pytest.raises(ValueError, match="got SimpleNamespace: wrap others with"):
        from_huggingface(SimpleNamespace())
