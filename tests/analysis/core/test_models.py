"""What ``--model`` may name."""

from pathlib import Path

import pytest

from analysis.core.models import is_function, load_branches, model_title

PLANTED = Path(__file__).parents[1] / "planted_encoders.py"


def test_a_function_in_a_file_and_in_a_module(tmp_path, monkeypatch):
    (tmp_path / "beside.py").write_text("SIZE = 16\n")
    (tmp_path / "own.py").write_text(
        "import torch\nfrom beside import SIZE\nfrom rspnet.models import from_module\n"
        "def build():\n"
        "    network = torch.nn.Conv3d(3, 4, 2, stride=2).train()\n"
        "    return from_module(network, num_frames=4, size=SIZE, name='own')\n"
    )
    query, key = load_branches(f"{tmp_path}/own.py:build")
    assert query is key
    assert (query.arch, query.size, query.training) == ("own", 16, False)
    monkeypatch.chdir(tmp_path)
    assert load_branches("own:build")[0].arch == "own"
    assert model_title("own:build") == "own:build"


def test_a_file_whose_name_has_a_colon_is_a_file(tmp_path):
    file = tmp_path / "a:b.safetensors"
    file.touch()
    assert not is_function(file)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("nowhere.py:build", "there is no file nowhere.py"),
        ("no.such.module:build", "no.such.module can't be imported: ModuleNotFoundError"),
        (f"{PLANTED}:build", "has no function 'build'"),
        (f"{PLANTED}:not_callable", "has no function 'not_callable'"),
        (f"{PLANTED}:fails", "fails with RuntimeError: no weights here"),
        (f"{PLANTED}:module_alone", "returns a Frames, expected a branch: .*from_module"),
    ],
)
def test_what_is_no_encoder_is_said(model, message):
    with pytest.raises(ValueError, match=message):
        load_branches(model)


def test_code_with_a_mistake_is_said(tmp_path):
    file = tmp_path / "broken.py"
    file.write_text("def build(:\n")
    with pytest.raises(ValueError, match="can't be imported: SyntaxError"):
        load_branches(f"{file}:build")
