"""Model files: what comes back is what went in, and what is wrong is named."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

import rspnet
from rspnet.files import atomic_path
from rspnet.models import Branch
from rspnet.weights.checkpoint import load_model, save_model

SMALL = {"width": 2}


def branch(seed: int, **changes) -> Branch:
    torch.manual_seed(seed)
    return Branch("resnet18_fine", SMALL, **changes).eval()


@pytest.fixture
def saved(tmp_path):
    query, key = branch(0), branch(1)
    path = save_model(tmp_path / "m.safetensors", query, key, metadata={"steps": 7})
    return path, query, key


def test_both_branches_come_back_bit_for_bit(saved):
    path, query, key = saved
    clips = torch.randn(2, 3, 8, 32, 32)
    for name, expected in (("query", query), ("key", key)):
        loaded = load_model(path, branch=name)
        assert not loaded.training
        assert loaded.arch == "resnet18_fine"
        assert loaded.heads == ("rsp", "avid")
        assert loaded.metadata == {"steps": 7}
        assert len(loaded.hash) == 64
        with torch.no_grad():
            assert torch.equal(loaded.features(clips), expected.features(clips))
            for head in loaded.heads:
                assert torch.equal(loaded(clips)[head], expected(clips)[head])


def test_half_precision_on_disk_is_float32_in_memory(tmp_path):
    query = branch(0)
    full = save_model(tmp_path / "full.safetensors", query, query)
    half = save_model(tmp_path / "half.safetensors", query, query, half=True)
    assert half.stat().st_size < 0.6 * full.stat().st_size
    loaded = load_model(half)
    for name, tensor in loaded.state_dict().items():
        expected = query.state_dict()[name]
        assert tensor.dtype == expected.dtype
        torch.testing.assert_close(tensor, expected, rtol=1e-3, atol=1e-6)


def test_heads_keep_their_names(saved):
    path, query, _ = saved
    loaded = load_model(path)
    assert torch.equal(loaded.head("rsp").weight, query.head("rsp").weight)
    assert torch.equal(loaded.head("avid").weight, query.head("avid").weight)
    assert not torch.equal(loaded.head("rsp").weight, loaded.head("avid").weight)


def test_mlp_heads_and_size_are_kept(tmp_path):
    query = branch(0, head="mlp", num_frames=8, size=64)
    loaded = load_model(save_model(tmp_path / "m.safetensors", query, query))
    assert loaded.spec() == query.spec()
    assert (loaded.num_frames, loaded.size) == (8, 64)


def test_what_is_wrong_is_named(saved, tmp_path):
    path, query, _ = saved
    with pytest.raises(ValueError, match="branch is 'query' or 'key', got 'momentum'"):
        load_model(path, branch="momentum")
    with pytest.raises(ValueError, match="no model 'nowhere.safetensors'"):
        load_model("nowhere.safetensors")
    text = tmp_path / "text.safetensors"
    text.write_text("hello")
    with pytest.raises(ValueError, match="not a safetensors file"):
        load_model(text)
    foreign = tmp_path / "foreign.safetensors"
    save_file({"a": torch.zeros(1)}, foreign)
    with pytest.raises(ValueError, match="not an RSPNet model"):
        load_model(foreign)
    tensors = load_file(path)
    tensors["query.extra"] = torch.zeros(1)
    del tensors["query.encoder.conv1.weight"]
    tensors["query.encoder.bn1.weight"] = torch.zeros(5)
    broken = tmp_path / "broken.safetensors"
    header = {"format": "rspnet", "format_version": "1", "spec": json.dumps(query.spec())}
    save_file(tensors, broken, metadata=header)
    with pytest.raises(ValueError, match=r"missing \['encoder.conv1.weight'\].*unexpected "
                       r"\['extra'\].*bn1.weight \(5,\) instead of \(2,\)"):  # fmt: skip
        load_model(broken)
    only = {name: t for name, t in tensors.items() if not name.startswith("query.encoder")}
    save_file(only, broken, metadata=header)
    with pytest.raises(ValueError, match=r"does not fit .* and \d+ more, unexpected") as refused:
        load_model(broken)
    assert len(str(refused.value)) < 400 + len(str(broken))
    save_file(tensors, broken, metadata=header | {"format_version": "99"})
    with pytest.raises(ValueError, match="format version 99.*update rspnet"):
        load_model(broken)
    with pytest.raises(ValueError, match="the branches differ"):
        save_model(tmp_path / "x.safetensors", query, branch(0, size=64))


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")

    def fail():
        with atomic_path(path) as temporary:
            temporary.write_text("half a fi")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_public_names():
    assert rspnet.load_model is load_model
    for name in rspnet.__all__:
        assert getattr(rspnet, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        rspnet.nonsense  # noqa: B018
