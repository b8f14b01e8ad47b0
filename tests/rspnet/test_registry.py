"""Registries: encoders from files, from plugins, and what an entry has to provide."""

import sys
from pathlib import Path

import pytest
from torch import nn

from rspnet.models import (
    create_encoder,
    encoder_info,
    encoder_table,
    list_encoders,
    register_encoder,
)
from rspnet.models.registry import ENCODERS
from rspnet.registry import Registry, documents


def test_a_name_is_given_once_and_unknown_ones_name_the_nearest() -> None:
    registry: Registry[int] = Registry("number", "rspnet.models")
    registry.add("two", 2)
    registry.add("one", 1)
    assert list(registry) == ["one", "two"]
    assert registry["two"] == 2
    with pytest.raises(ValueError, match="there is a number 'one' already"):
        registry.add("one", 11)
    with pytest.raises(ValueError, match=r"expected one of one, two\. Did you mean 'one'\?"):
        registry["noe"]

    @documents(numbers=registry)
    class Settings:
        """One of {numbers}."""

    assert Settings.__doc__ == "One of one, two."


def test_an_encoder_without_its_geometry_is_refused() -> None:
    @register_encoder("test_no_geometry")
    class NoGeometry(nn.Module):
        """An encoder that does not say where its cells lie."""

        num_features = 8

    try:
        with pytest.raises(ValueError, match="has cell_geometry = None, expected a CellGeometry"):
            create_encoder("test_no_geometry")
    finally:
        ENCODERS.remove("test_no_geometry")
    assert "test_no_geometry" not in list_encoders()


def test_a_plugin_adds_an_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "their_encoders.py").write_text(
        "from rspnet.models import create_encoder, register_encoder\n"
        "@register_encoder('theirs', size=64)\n"
        "def theirs():\n"
        "    '''Somebody else's encoder.'''\n"
        "    return create_encoder('resnet18_fine', width=2)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("RSPNET_PLUGINS", "their_encoders")
    monkeypatch.setattr(ENCODERS, "_complete", False)  # as in a new process
    try:
        info = encoder_info("theirs")
        assert (info.size, info.description) == (64, "Somebody else's encoder")
        assert create_encoder("theirs").num_features == 16
    finally:
        ENCODERS.remove("theirs")
        sys.modules.pop("their_encoders", None)
    monkeypatch.setenv("RSPNET_PLUGINS", "no_such_module")
    monkeypatch.setattr(ENCODERS, "_complete", False)
    with pytest.raises(ValueError, match="RSPNET_PLUGINS names 'no_such_module'"):
        list_encoders()


def test_the_table_computes_what_it_says() -> None:
    rows = encoder_table().splitlines()
    assert len(rows) == 2 + len(list_encoders())
    expected = (
        "| `resnet18` | 16 x 112 x 112 | 512 x 1 x 4 x 4 | 33.20 M | 3D ResNet-18 of the paper |"
    )
    assert expected in rows
