"""Model files: what comes back is what went in, and what is wrong is named."""

import json
import re
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

import rspnet
from rspnet.files import atomic_path, file_hash
from rspnet.models import Branch
from rspnet.weights import checkpoint, storage
from rspnet.weights.checkpoint import load_model, save_model
from tests.factories import damages

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


def test_a_model_is_loaded_without_the_compiler():
    """Whose import takes longer than all else that loading does."""
    code = "import sys, rspnet; rspnet.load_model(); sys.exit('torch._dynamo' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


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


SPEC = {
    "arch": "resnet18_fine",
    "encoder_options": {"width": 2},
    "head": "linear",
    "num_frames": 16,
    "size": 112,
}
NUMBERS = (0, -1, 10**18, 1e18, float("nan"), float("inf"), 16.5, "16", None, True, [16], {})
DEEP = "[" * 100_000
MALFORMED = [
    *({"spec": json.dumps(SPEC | {name: n})} for name in ("num_frames", "size") for n in NUMBERS),
    *(
        {"spec": json.dumps(SPEC | {"encoder_options": {"width": n}})}
        for n in (*NUMBERS[:10], 10**12, 4000)
        if n is not True
    ),
    *({"spec": json.dumps({k: v for k, v in SPEC.items() if k != name})} for name in SPEC),
    *({"spec": text} for text in ("", "{", "null", "[]", "7", '"x"', DEEP, '{"a": 1}', "NaN")),
    *({"spec": json.dumps(SPEC | {"arch": arch})} for arch in (None, 3, [], {}, "resnet")),
    *({"spec": json.dumps(SPEC | {"head": head})} for head in (None, 3, [], "bilinear")),
    *(
        {"spec": json.dumps(SPEC | {"encoder_options": options})}
        for options in (3, "width", [1], {"stem_stride": [0, 0, 0]}, {"nothing": 1}, {"width": {}})
    ),
    *(
        {"spec": json.dumps(SPEC | {"normalisation": values})}
        for values in (3, [], [[1, 2], [3]], [[1, 2, 3], [1, 0, 1]], [["a"] * 3] * 2, [None, None])
    ),
    {"spec": json.dumps(SPEC | {"more": 1})},
    *({"metadata": text} for text in ("", "{", "[]", "3", DEEP)),
    *({"format_version": text} for text in ("", "x", "NaN", "1e999", "2", "null", DEEP)),
    {"nonsense": "1"},
]


@pytest.mark.parametrize("entries", MALFORMED, ids=range(len(MALFORMED)))
def test_a_malformed_header_is_one_sentence_and_allocates_nothing(
    entries, tmp_path, saved, monkeypatch
):
    header = {"format": "rspnet", "format_version": "1", "spec": json.dumps(SPEC), "metadata": "{}"}
    path = tmp_path / "other.safetensors"
    save_file(load_file(saved[0]), path, metadata=header | entries)

    def allocate(*_, **__):
        raise AssertionError("weights were made")

    monkeypatch.setattr(storage, "fill", allocate)
    with pytest.raises(ValueError, match=re.escape(str(path))) as refused:
        load_model(path)
    assert len(str(refused.value)) < 600


def test_a_header_as_it_is_written_is_read(tmp_path, saved):
    header = {"format": "rspnet", "format_version": "1", "spec": json.dumps(SPEC), "metadata": "{}"}
    path = tmp_path / "older.safetensors"
    save_file(load_file(saved[0]), path, metadata=header)
    assert load_model(path).spec() == saved[1].spec() | {"encoder_options": {"width": 2}}


def test_a_model_damaged_at_any_byte_is_refused(saved):
    path = saved[0]
    whole = path.read_bytes()
    for data in damages(whole, 200):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=re.escape(str(path))):
            load_model(path)
    path.write_bytes(whole)
    load_model(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_refused_by_their_name(value, tmp_path):
    query, key = branch(0), branch(1)
    with torch.no_grad():
        key.encoder.layer1[0].conv1.weight[0, 0, 0, 0, 0] = value
        key.encoder.bn1.running_var[1] = value
    path = save_model(tmp_path / "m.safetensors", query, key)
    load_model(path)
    with pytest.raises(ValueError, match=r"NaN or infinite, in \['encoder.bn1.running_var', "
                       r"'encoder.layer1.0.conv1.weight'\]"):  # fmt: skip
        load_model(path, "key")
    network = {f"{n}.{k}": v for n, b in (("query", query), ("key", key))
               for k, v in b.state_dict().items()}  # fmt: skip
    config = {
        "model": {"arch": "resnet18_fine", "options": SMALL, "head": "linear"},
        "data": {"num_frames": 16, "size": 112},
    }
    torch.save({"step": 1, "config": config, "network": network}, tmp_path / "step.pt")
    with pytest.raises(ValueError, match=r"NaN or infinite, in \['encoder.bn1.running_var'"):
        load_model(tmp_path / "step.pt", "key")


@pytest.mark.parametrize(
    "changes",
    [
        {"config": None},
        {"config": {}},
        {"config": {"model": [], "data": {}}},
        {"config": {"model": {"arch": 1, "options": 2, "head": 3}, "data": {"size": 4}}},
        {"step": "x"},
        {"step": float("inf")},
        {"network": None},
        {"network": {"query.a": 3}},
        {"network": {3: torch.zeros(1)}},
    ],
)
def test_a_malformed_training_checkpoint_is_one_sentence(changes, tmp_path):
    config = {
        "model": {"arch": "resnet18_fine", "options": SMALL, "head": "linear"},
        "data": {"num_frames": 16, "size": 112},
    }
    state = {"step": 1, "config": config, "network": {}}
    torch.save(state | changes, tmp_path / "step.pt")
    with pytest.raises(ValueError, match="step.pt"):
        load_model(tmp_path / "step.pt")


def test_a_released_model_that_is_another_file_is_refused(tmp_path, monkeypatch, saved):
    entry = {"name": "tiny", "file": saved[0].name, "sha256": file_hash(saved[0])}
    (tmp_path / "index.json").write_text(json.dumps({"models": [entry]}))
    monkeypatch.setattr(checkpoint, "CHECKPOINTS", tmp_path)
    assert load_model("tiny").hash == entry["sha256"]
    save_model(saved[0], saved[2], saved[2])  # a valid model, but not that one
    for name in ("tiny", saved[0]):
        with pytest.raises(ValueError, match=r"damaged: .* that of the model 'tiny'"):
            load_model(name)


def test_a_model_that_may_not_be_read_is_one_sentence(saved, monkeypatch):
    def refuse(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(checkpoint, "file_hash", refuse)
    with pytest.raises(ValueError, match=r"m.safetensors can't be read: Permission denied"):
        load_model(saved[0])
