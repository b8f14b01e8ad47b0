"""The whole benchmark on videos of a few pixels: tables, what is kept, what is left out."""

import json
from pathlib import Path

import pytest

from analysis import run_study
from benchmarks.small_scale import __main__ as small_scale
from benchmarks.small_scale import benchmark as module
from benchmarks.small_scale.subjects import choose_subjects
from rspnet.data.labelled_clips import ActionsConfig
from rspnet.finetune import FinetuneConfig, finetune
from rspnet.models import Branch
from rspnet.recognition.classifier import Classifier, save_classifier
from rspnet.weights.checkpoint import load_model, save_model
from tests.factories import tiny_branch


@pytest.fixture(scope="module")
def setting(
    tmp_path_factory: pytest.TempPathFactory, video_folder: Path, few_resamples: None
) -> list[str]:
    folder = tmp_path_factory.mktemp("small")
    for seed in range(2):
        branch = tiny_branch(seed, width=4, size=16)
        save_model(folder / f"m{seed}.safetensors", branch, branch)
    rows = ["clip,class,hmdb_split1"]
    rows += [f"class{n % 2}/v{n}.mp4,class{n % 2},{1 + n // 2}" for n in range(4)]
    (folder / "splits.csv").write_text("\n".join(rows) + "\n")
    return [
        "--models", f"both={folder / 'm0.safetensors'}", f"both={folder / 'm1.safetensors'}",
        "--jhmdb", str(video_folder), "--jhmdb_splits", str(folder / "splits.csv"),
        "--num_clips", "2", "--histogram_size", "24", "--device", "cpu",
        "--num_workers", "0", "--num_maps", "0",
    ]  # fmt: skip


def cells_of(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_one_command_one_table(
    setting: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = [*setting, "--out", str(tmp_path), "--seeds", "2", "--num_generated", "4"]
    words += ["--num_maps", "2", "--figure", str(tmp_path / "tables.png")]
    assert small_scale.main(words) == 0
    text = capsys.readouterr().out
    assert "### JHMDB: 2 test videos" in text
    assert "### generated, by set: 2 test videos" in text
    assert "| RSPNet ResNet-18 | 41.1 |" in text
    table = [cells_of(line) for line in text.splitlines() if line.startswith("|")]
    assert {row[0] for row in table} >= {"chance", "both", "random weights", "HOG histogram"}
    found = json.loads((tmp_path / "small_scale.json").read_text())
    assert (tmp_path / "small_scale.md").read_text() == text[:-1]
    assert set(found["rows"]) == {
        "JHMDB",
        *(f"generated, by {k}" for k in ("action", "actor", "set")),
    }
    rows = {(row["name"], row["feature"]): row for row in found["rows"]["JHMDB"]}
    assert rows["both", "RSP"]["num_seeds"] == 2
    assert rows["random weights", "backbone, max"]["num_seeds"] == 2
    for way in ("Hellinger", "cosine", "cosine, 2 x 2", "cosine, 1 x 1", "cosine, no directions"):
        assert rows["flow histogram", way]["num_seeds"] == 1
    # The models are the random weights of these seeds: the same numbers come twice.
    for feature in ("backbone, max", "backbone, avg", "RSP", "A-VID"):
        assert rows["both", feature]["metrics"] == rows["random weights", feature]["metrics"]
    assert found["chance"]["JHMDB"]["top-1"] == 50
    pretext = found["pretext"]["JHMDB"]
    assert [run["num_videos"] for run in pretext["both"]] == [2, 2]
    assert 0 <= pretext["both"][0]["rsp_accuracy"] <= 1

    # So do what the heads look at; a model's heads are asked on the same clips.
    localisation = found["localisation"]
    assert [run["limbs"] for run in localisation["both"]] == [
        run["limbs"] for run in localisation["random weights"]
    ]
    for run in localisation["both"]:
        for part in ("limbs", "selectivity"):
            less = run[part]["rsp"]["value"] - run[part]["avid"]["value"]
            assert run[part]["difference"]["value"] == pytest.approx(less)
        less = run["prop"]["avid"]["value"] - run["prop"]["rsp"]["value"]
        assert run["prop"]["difference"]["value"] == pytest.approx(less)
    assert "### What the heads look at: 2 generated videos" in text
    assert (tmp_path / "tables.png").stat().st_size > 1000

    def never(*args: object, **words: object) -> None:
        raise AssertionError("made twice")

    for name in ("clip_features", "histograms", "outcomes"):
        monkeypatch.setattr(module, name, never)
    monkeypatch.setattr("benchmarks.small_scale.subjects.evaluate_pretext", never)
    monkeypatch.setattr("benchmarks.small_scale.localisation.ResponsesStudy", never)
    assert small_scale.main(words) == 0
    assert capsys.readouterr().out == text


def test_grids_have_rows_of_their_own(setting: list[str], tmp_path: Path) -> None:
    words = [*setting, "--out", str(tmp_path), "--seeds", "0", "--num_generated", "0"]
    assert small_scale.main([*words, "--num_pretext", "0", "--grids", "1"]) == 0
    found = json.loads((tmp_path / "small_scale.json").read_text())["rows"]["JHMDB"]
    rows = {(row["name"], row["feature"]): row["metrics"] for row in found}
    for name in ("max", "avg"):  # one field is the whole frame
        assert rows["both", f"backbone, {name}, 1 x 1"] == rows["both", f"backbone, {name}"]
    assert small_scale.main([*words, "--num_pretext", "0", "--grids", "9"]) == 2


@pytest.mark.parametrize("kind", ["linear", "knn"])
def test_probes_are_those_of_finetune(setting: list[str], tmp_path: Path, kind: str) -> None:
    words = [*setting, "--out", str(tmp_path / "a"), "--seeds", "0", "--num_generated", "0"]
    assert small_scale.main([*words, "--num_pretext", "0"]) == 0
    rows = json.loads((tmp_path / "a" / "small_scale.json").read_text())["rows"]["JHMDB"]
    (row,) = (row for row in rows if row["feature"] == "backbone, avg")
    found = row["metrics"]["k-NN" if kind == "knn" else kind]["seeds"]
    for model, value in zip(setting[1:3], found, strict=True):
        data = ActionsConfig(name="csv", root=setting[4], annotations=setting[6], num_clips=2)
        config = FinetuneConfig(
            out=str(tmp_path / Path(model).stem), model=model.partition("=")[2], data=data,
            neighbours=2,
            linear=kind == "linear", knn=kind == "knn", device="cpu", num_workers=0,
        )  # fmt: skip
        assert value == 100 * finetune(config).video_top1


def test_fine_tuning(
    setting: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*setting, "--out", str(tmp_path), "--seeds", "1", "--num_generated", "0"]
    words += ["--num_pretext", "0", "--finetune", "--finetune_epochs", "1"]
    assert small_scale.main(words) == 0
    text = capsys.readouterr().out
    assert "### Fine-tuned on JHMDB, 1 epochs" in text
    found = json.loads((tmp_path / "small_scale.json").read_text())["finetuned"]
    assert list(found) == ["both, 1 of 2", "both, 2 of 2", "random weights"]
    assert found["random weights"]["num_videos"] == 2
    assert "Generated videos were skipped: --num_generated was 0." in text
    assert "own tasks" not in text


def test_what_is_left_out_is_said(
    setting: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*setting[:3], "--out", str(tmp_path), "--num_generated", "0", "--seeds", "0"]
    words += ["--num_maps", "0"]
    assert small_scale.main(words) == 0
    assert "JHMDB was skipped: name its folder with --jhmdb DIR." in capsys.readouterr().out


def test_mistakes_are_told(
    setting: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*setting[:3], "--out", str(tmp_path / "out")]
    assert small_scale.main([*words, "--jhmdb", str(tmp_path)]) == 2
    assert "jhmdb_splits.csv" in capsys.readouterr().err
    (tmp_path / "jhmdb_splits.csv").write_text("clip,class,hmdb_split1\na/b.mp4,a,1\n")
    assert small_scale.main([*words, "--jhmdb", str(tmp_path)]) == 2
    assert "error: " in capsys.readouterr().err
    assert small_scale.main(["--models", "nosuch", "--out", str(tmp_path / "out")]) == 2
    assert "no model 'nosuch'" in capsys.readouterr().err
    # Before the work is done.
    assert small_scale.main([*words, "--num_maps", "1"]) == 2
    assert "num_maps is at least 2" in capsys.readouterr().err
    assert small_scale.main([*words, "--figure", "tables.xyz"]) == 2
    assert "a figure is written as .png" in capsys.readouterr().err
    assert not (tmp_path / "out" / "small_scale.md").exists()


def test_each_architecture_has_its_own_control(tmp_path: Path) -> None:
    for width in (4, 8):
        branch = Branch("resnet18_fine", {"width": width}, num_frames=8, size=16)
        save_model(tmp_path / f"w{width}.safetensors", branch, branch)
    files = [str(tmp_path / f"w{width}.safetensors") for width in (4, 8)]
    words = ["--models", *files, f"again={files[0]}", "--seeds", "2", "--random_archs", "c3d"]
    subjects, controls = choose_subjects(small_scale.parser().parse_args(words))
    random = ("random weights, as w4", "random weights, as w8", "random weights, c3d")
    names = ["w4", "w8", "again", *(name for name in random for _ in range(2))]
    assert [subject.name for subject in subjects] == names
    assert controls == {"w4": random[0], "again": random[0], "w8": random[1]}
    assert len({subject.identity for subject in subjects}) == 8  # two names of one file
    wrong = small_scale.parser().parse_args(["--models", *(f"x={file}" for file in files)])
    with pytest.raises(ValueError, match="those named 'x' differ in their architecture"):
        choose_subjects(wrong)
    other, branch = tmp_path / "moco.safetensors", load_model(files[0])
    save_model(other, branch, branch, metadata={"config": {"method": "moco"}})
    mixed = ["--models", f"x={files[0]}", f"x={other}"]
    with pytest.raises(ValueError, match="differ in their trained heads"):
        choose_subjects(small_scale.parser().parse_args(mixed))


def test_folds_moments_and_whitened_features(
    setting: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = ["clip,class,hmdb_split1,hmdb_split2"]
    rows += [f"class{n % 2}/v{n}.mp4,class{n % 2},{1 + n // 2},{2 - n // 2}" for n in range(4)]
    (tmp_path / "splits.csv").write_text("\n".join(rows) + "\n")
    words = [*setting, "--out", str(tmp_path), "--seeds", "1", "--num_generated", "0"]
    words += ["--jhmdb_splits", str(tmp_path / "splits.csv"), "--jhmdb_folds", "1", "2"]
    assert small_scale.main([*words, "--num_pretext", "0", "--moments", "--whiten"]) == 0
    text = capsys.readouterr().out
    assert "### JHMDB, split 1: 2 test videos" in text
    assert "### JHMDB, mean over splits: 2 + 2 test videos" in text
    assert "JHMDB, split 2: 2 of its 2 test videos are training videos of split 1" in text
    found = json.loads((tmp_path / "small_scale.json").read_text())["rows"]
    one, two, both = (
        {(row["name"], row["feature"]): row["metrics"]["top-1"]["value"] for row in found[title]}
        for title in ("JHMDB, split 1", "JHMDB, split 2", "JHMDB")
    )
    assert both == {key: (one[key] + two[key]) / 2 for key in one}
    for feature in ("backbone, max", "backbone, avg, moments", "RSP"):
        assert {("both", feature), ("both", f"{feature}, whitened")} <= set(one)
    assert ("flow histogram", "cosine, whitened") in one


def test_unseen_sets_are_measured_as_analysis_does(
    tmp_path: Path, synthetic_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = tmp_path / "few.txt"
    videos = sorted(synthetic_folder.rglob("*.mp4"))[:2]
    listed.write_text("".join(f"{path}\n" for path in videos))
    branch = tiny_branch(0, num_frames=4)  # a frame of a single cell would have no map
    model = str(save_model(tmp_path / "m.safetensors", branch, branch))
    words = ["--models", model, "--out", str(tmp_path), "--seeds", "1", "--device", "cpu"]
    words += ["--num_generated", "0", "--num_pretext", "2", "--num_maps", "2"]
    assert small_scale.main([*words, "--unseen", f"few={listed}"]) == 0
    text = capsys.readouterr().out
    assert "| few | random weights |" in text
    assert "### Which head finds what" not in text  # no labels
    found = json.loads((tmp_path / "small_scale.json").read_text())["unseen"]["few"]
    study = run_study("optical_flow", model=model, videos=str(listed), num_videos=2, num_random=1,
                      progress=False)  # fmt: skip
    for name, weights in (("m", "trained"), ("random weights", "random weights")):
        for head in ("rsp", "avid", "rsp_minus_avid"):
            row = study.one(
                weights=weights, kind="margin_faster", target="flow", speed="both", head=head
            )
            assert found[name]["rho"][head] == pytest.approx(row["rho"].to_json(), abs=1e-12)
        assert found[name]["tasks"][0]["num_videos"] == 2
        assert found[name]["selectivity"][0]["rsp"]["num"] == 2


def test_a_dry_run_tells_mistakes_and_computes_nothing(
    setting: list[str],
    tmp_path: Path,
    video_folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never(*args: object, **words: object) -> None:
        raise AssertionError("computed")

    monkeypatch.setattr(module.Benchmark, "run", never)
    words = [*setting, "--out", str(tmp_path / "out"), "--dry_run", "--unseen", f"v={video_folder}"]
    assert small_scale.main([*words, "--whiten", "--num_pretext", "0"]) == 0
    text = capsys.readouterr().out
    assert "| both | resnet18_fine | 8 x 16 | 2 | rsp, avid |" in text
    assert "| JHMDB | 2 | 2 | 2 |" in text
    assert "| v | 4 |" in text
    assert "10 clips" not in text  # of setting: 2
    assert "2 clips a video; whitened features." in text
    assert "UCF101 was skipped" in text
    assert not (tmp_path / "out").exists()
    for wrong, said in (
        (["--unseen", "v"], "NAME=DIR"),
        (["--unseen", "v=nowhere"], "no nowhere"),
        (["--unseen", f"v={video_folder}", f"v={video_folder}"], "each name once"),
        (["--jhmdb_folds", "4"], "official splits 1, 2 and 3, got [4]"),
        (["--ucf101", str(video_folder)], "ucfTrainTestlist"),
        (["--num_generated", "1"], "num_generated is at least 2"),
        (["--num_clips", "0"], "num_clips is at least 1"),
        (["--neighbours", "-1"], "neighbours is at least 1"),
        (["--grids", "9"], "grids of 1 to"),
    ):
        assert small_scale.main([*words, *wrong]) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
    assert small_scale.main([*setting[:3], "--finetune", "--dry_run"]) == 2
    listed = tmp_path / "list.txt"
    listed.write_text(f"{video_folder / 'class0' / 'v0.mp4'}\nnowhere.mp4\n")
    assert small_scale.main([*words, "--unseen", f"v={listed}"]) == 2
    assert "1 are missing, such as" in capsys.readouterr().err


@pytest.mark.parametrize(("method", "heads"), [("moco", ("A-VID",)), ("pace", ())])
def test_only_heads_that_a_method_trained_are_shown(
    setting: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    method: str,
    heads: tuple[str, ...],
) -> None:
    branch = load_model(setting[1].partition("=")[2])
    file = save_model(
        tmp_path / "m.safetensors", branch, branch, metadata={"config": {"method": method}}
    )
    words = [*setting, "--out", str(tmp_path), "--seeds", "0", "--num_generated", "0"]
    words[1:3] = [f"other={file}", setting[1]]
    assert small_scale.main(words) == 0
    found = json.loads((tmp_path / "small_scale.json").read_text())
    features = [row["feature"] for row in found["rows"]["JHMDB"] if row["name"] == "other"]
    assert features == ["backbone, max", "backbone, avg", *heads]
    tasks = found["pretext"]["JHMDB"]
    assert ("other" in tasks) == bool(heads)
    if heads:
        (own,), (ours,) = tasks["other"], tasks["both"]
        assert own == ours | {"rsp_accuracy": None, "rsp_interval": None}
        assert "| JHMDB | other | - | " in capsys.readouterr().out


def test_a_classifier_gives_its_encoder(
    setting: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = load_model(setting[1].partition("=")[2])
    path = save_classifier(tmp_path / "c.safetensors", Classifier(model, ["a", "b"]), {})
    words = [*setting, "--out", str(tmp_path), "--seeds", "0", "--num_generated", "0"]
    words[1:3] = [setting[1], f"labels={path}"]
    assert small_scale.main(words) == 0
    found = json.loads((tmp_path / "small_scale.json").read_text())
    rows = {(row["name"], row["feature"]): row["metrics"] for row in found["rows"]["JHMDB"]}
    # The encoder is that of the model; heads that no label trained have no row.
    for feature in ("backbone, max", "backbone, avg"):
        assert rows["labels", feature] == rows["both", feature]
    assert ("both", "RSP") in rows
    assert ("labels", "RSP") not in rows
    assert list(found["pretext"]["JHMDB"]) == ["both"]
    assert "| labels | backbone, max |" in capsys.readouterr().out
