"""Plans of trainings: what is read, what is refused, and that the shipped ones make sense."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.plan import choose, read_plan
from rspnet.commands import parse_config
from rspnet.training.config import TrainConfig

PLANS = sorted((Path(__file__).resolve().parents[2] / "benchmarks" / "plans").glob("*.yaml"))
FEW_VIDEOS = PLANS[0].parents[2] / "rspnet" / "configs" / "few_videos"
ROOTS = {"real": [Path("real.txt")], "generated": [Path("made")], "both": [Path("a"), Path("b")]}

TWO = """
base: {max_steps: 30, data.size: 32}
runs:
  - name: first
    purpose: what is first
    videos: both
  - name: second
    after: first
    set: {max_steps: 7, model.options: {width: 4}, data.speeds: [1, 4]}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "plan.yaml"
    path.write_text(text)
    return path


def test_a_run_has_the_settings_of_all_and_its_own(tmp_path: Path) -> None:
    first, second = read_plan(written(tmp_path, TWO))
    config = first.config(tmp_path, ROOTS)
    assert (config.max_steps, config.data.size, config.data.root) == (30, 32, ["a", "b"])
    assert config.init_from is None
    config = second.config(tmp_path, ROOTS)
    assert (config.max_steps, config.data.size, config.data.root) == (7, 32, ["real.txt"])
    assert config.init_from == str(tmp_path / "first" / "model.safetensors")
    assert config.model.options == {"width": 4}
    assert config.data.speeds == (1, 4)
    assert config.out == str(tmp_path / "second")


def test_a_run_brings_what_it_comes_after(tmp_path: Path) -> None:
    runs = read_plan(written(tmp_path, TWO + "  - name: third\n"))
    assert [run.name for run in choose(runs, ["second"])] == ["first", "second"]
    assert [run.name for run in choose(runs, ["third"])] == ["third"]
    with pytest.raises(ValueError, match=r"no run is named 'x': there are \['first'"):
        choose(runs, ["x"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- 1", "is no plan"),
        ("runs: [{name: a}, {name: a}]", "two runs are named 'a'"),
        ("runs: [{name: a, steps: 3}]", "a run has name, purpose"),
        ("runs: [{name: a, videos: films}]", "'films'"),
        ("runs: [{name: a, after: b}, {name: b}]", "'a' comes after 'b'"),
    ],
)
def test_what_is_no_plan_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_plan(written(tmp_path, text))


def test_a_setting_that_does_not_exist_is_named_with_its_run(tmp_path: Path) -> None:
    (run,) = read_plan(written(tmp_path, "runs: [{name: a, set: {data.sizes: 3}}]"))
    with pytest.raises(ValueError, match=r"run 'a'.*Did you mean 'data.size'"):
        run.config(tmp_path, ROOTS)


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_the_plans_of_the_repository_can_be_run(path: Path, tmp_path: Path) -> None:
    runs = read_plan(path)
    assert len(runs) > 1
    for run in runs:
        assert run.purpose
        run.config(tmp_path, ROOTS)


def test_the_recipes_for_few_videos_are_those_of_the_shipped_model(tmp_path: Path) -> None:
    plan = choose(read_plan(FEW_VIDEOS.parents[2] / "benchmarks/plans/models.yaml"), ["full_size"])
    files = sorted(FEW_VIDEOS.glob("*.yaml"))
    assert len(files) == len(plan)
    before = None
    for path, run in zip(files, plan, strict=True):
        command = path.read_text().splitlines()[0]
        assert command.startswith(
            f"# python -m rspnet.train --config {path.relative_to(FEW_VIDEOS.parents[2])}"
        )
        assert (".cache/synthetic_0_400" in command) == (run.videos == "both")
        words = ["--config", str(path), "--data.root=[a, b]"]
        config = parse_config(TrainConfig, words)
        assert config.init_from == before
        expected = run.config(tmp_path, ROOTS)
        data = replace(config.data, root=expected.data.root)
        own = {"out": expected.out, "init_from": expected.init_from, "data": data}
        assert replace(config, **own) == expected
        before = f"{config.out}/model.safetensors"
