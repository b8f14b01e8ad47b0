"""Configuration from files and the command line."""

import pytest

from rspnet.commands import parse_config, save_config
from rspnet.training.config import TrainConfig


def test_defaults_files_and_overrides(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("batch_size: 8\ndata:\n  size: 64\n  augment: {hue: 0.1}\n")
    config = parse_config(
        TrainConfig,
        ["--config", str(file), "--data.size", "80", "--loss.rsp_form=hinge", "--data.root", "V"],
    )
    assert config.batch_size == 8
    assert config.data.size == 80
    assert config.data.augment.hue == 0.1
    assert config.data.augment.gray == 0.2
    assert config.loss.rsp_form == "hinge"
    assert config.data.root == "V"
    assert parse_config(TrainConfig, []) == TrainConfig()


def test_several_roots_and_model_options():
    config = parse_config(
        TrainConfig,
        ["--data.root", "[A, B]", "--model.options", "{width: 24}", "--data.speeds", "[1, 4]"],
    )
    assert config.data.root == ["A", "B"]
    assert config.model.options == {"width": 24}
    assert config.data.speeds == (1, 4)


def test_what_is_saved_reads_back(tmp_path):
    config = parse_config(TrainConfig, ["--model.options", "{width: 24}", "--optim.lr", "0.5"])
    save_config(config, tmp_path / "config.yaml")
    assert parse_config(TrainConfig, ["--config", str(tmp_path / "config.yaml")]) == config


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--batchsize", "3"], "unknown setting 'batchsize'. Did you mean 'batch_size'"),
        (["--data.rot", "x"], "unknown setting 'data.rot'. Did you mean 'data.root'"),
        (["--queue_length", "9"], "Did you mean 'loss.queue_length'"),
        (["--batch_size", "many"], "batch_size"),
        (["--batch_size", "0"], "batch_size is at least 1, got 0"),
        (["--loss.rsp_form", "softplus"], "rsp_form"),
        (["--optim.lr", "-1"], "lr is positive, got -1"),
        (["--config", "nowhere.yaml"], "no configuration file nowhere.yaml"),
    ],
)
def test_mistakes_are_named(words, message):
    with pytest.raises(ValueError, match=message):
        parse_config(TrainConfig, words)


def test_null_in_a_file_is_a_value_only_where_there_may_be_none(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("epochs: null\naccumulate: null\n")
    with pytest.raises(ValueError, match=r"run.yaml: accumulate is an integer, got null"):
        parse_config(TrainConfig, ["--config", str(file)])
    file.write_text("epochs: null\n")
    assert parse_config(TrainConfig, ["--config", str(file)]) == TrainConfig()


def test_unknown_key_in_a_file_names_file_and_nearest(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("data:\n  sise: 64\n")
    with pytest.raises(ValueError, match=r"run.yaml: unknown setting 'data.sise'.*'data.size'"):
        parse_config(TrainConfig, ["--config", str(file)])


@pytest.mark.parametrize("name", ["pretrain/s3dg_k400", "rspnet/configs/pretrain/s3dg_k400.yaml"])
def test_a_recipe_that_ships_is_found_from_any_folder(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert parse_config(TrainConfig, ["--config", name]).model.arch == "s3dg"
    with pytest.raises(ValueError, match="Did you mean 'pretrain/s3dg_k400'"):
        parse_config(TrainConfig, ["--config", "pretrain/s3d_k400"])


def test_a_setting_that_an_older_run_called_otherwise_is_read(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("observer: package:Class\n")
    assert parse_config(TrainConfig, ["--config", str(file)]).callback == "package:Class"
    with pytest.raises(ValueError, match="unknown setting 'observer'"):
        parse_config(TrainConfig, ["--observer", "package:Class"])
