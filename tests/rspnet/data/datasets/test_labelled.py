"""Labelled data sets: the official lists, files found by name, and each mistake in words."""

import csv
import json
import os
from pathlib import Path

import pytest

from rspnet.data.datasets.hmdb51 import parse_hmdb51
from rspnet.data.datasets.labelled import DatasetConfig, VideoSet, load_video_set
from rspnet.data.datasets.registry import DATASETS, dataset_table
from rspnet.data.datasets.ucf101 import parse_ucf101


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def write(folder: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return str(folder)


def load(name: str, root: Path | str | None, **options: object) -> VideoSet:
    where = None if root is None else str(root)
    return load_video_set(DatasetConfig(name=name, root=where, **options))  # type: ignore[arg-type]


def found(videos: VideoSet, root: Path) -> list[tuple[str, str]]:
    return [(v.path.relative_to(root).as_posix(), v.label) for v in videos.videos]


@pytest.mark.parametrize(
    ("parse", "folder", "counts", "num_classes"),
    [
        (parse_ucf101, "ucf101", [(9537, 3783), (9586, 3734), (9624, 3696)], 101),
        (parse_hmdb51, "hmdb51", [(3570, 1530)] * 3, 51),
    ],
)
def test_official_lists(real_data, parse, folder, counts, num_classes) -> None:  # type: ignore[no-untyped-def]
    for fold, (num_train, num_test) in enumerate(counts, 1):
        train = parse(real_data / "splits" / folder, "train", fold)
        test = parse(real_data / "splits" / folder, "test", fold)
        assert (len(train), len(test)) == (num_train, num_test)
        assert not set(train) & set(test)
        assert len({label for _, label in train}) == len({label for _, label in test})
        assert len({label for _, label in train}) == num_classes


def test_jhmdb_by_its_table_and_by_hmdb51s_lists(real_data: Path) -> None:
    root, table = real_data / "jhmdb", str(real_data / "jhmdb_splits.csv")
    sizes = {"train": 650, "test": 256}
    for split, size in sizes.items():
        by_table = load("csv", root, annotations=table, split=split)
        assert (len(by_table.videos), len(by_table.classes), by_table.missing) == (size, 21, ())
        lists = str(real_data / "splits" / "hmdb51")
        by_lists = load("hmdb51", root, annotations=lists, split=split)
        assert (len(by_lists.videos), len(by_lists.classes)) == (size, 51)
        assert {v.path for v in by_lists.videos} == {v.path for v in by_table.videos}


UCF101 = {
    "classInd.txt": "1 Zumba\r\n2 Archery\r\n",
    "trainlist01.txt": "Archery/v_A g01.avi 2\r\nZumba/v_Z1.avi 1\r\n\r\nZumba/v_Z1.avi 1\r\n",
    "testlist01.txt": "Zumba/v_Z2.avi\nArchery/v_A2.avi\n",
}


def test_ucf101(tmp_path: Path) -> None:
    lists = write(tmp_path / "lists", UCF101)
    root = touch(tmp_path / "root", "Archery/v_A g01.mp4", "Zumba/v_Z1.avi", "Zumba/v_Z1.mp4",
                 "Zumba/v_Z2.txt", "Zumba/.v_Z2.mp4", "Archery/v_A2.webm")  # fmt: skip
    train = load("ucf101", root, annotations=lists)
    assert found(train, root) == [("Archery/v_A g01.mp4", "Archery"), ("Zumba/v_Z1.avi", "Zumba")]
    assert (train.name, train.split, train.fold) == ("ucf101", "train", 1)
    assert train.classes == ("Zumba", "Archery")
    test = load("ucf101", root, annotations=lists, split="test")
    assert found(test, root) == [("Archery/v_A2.webm", "Archery")]
    assert test.missing == ("Zumba/v_Z2.avi",)
    assert {v.split for v in test.videos} == {"test"}


def test_class_folders_in_other_case_or_without_punctuation_are_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lists = write(tmp_path / "lists", {
        "classInd.txt": "1 HandstandPushups\n2 YoYo\n3 TaiChi\n4 Tai\n",
        "trainlist01.txt": "HandstandPushups/v_1.avi 1\nYoYo/v_2.avi 2\nTaiChi/v_3.avi 3\n"
                           "TaiChi/v_5.avi 3\nTai/v_4.avi 4\n",
    })  # fmt: skip
    root = touch(tmp_path / "root", "HandStandPushups/v_1.avi", "Yo-Yo/v_2.avi", "TaiCh/v_3.avi",
                 "tai/v_4.avi", "@eaDir/YoYo/v_2.avi")  # fmt: skip
    assert found(load("ucf101", root, annotations=lists), root) == [
        ("HandStandPushups/v_1.avi", "HandstandPushups"),
        ("Yo-Yo/v_2.avi", "YoYo"),
        ("tai/v_4.avi", "Tai"),
    ]
    assert capsys.readouterr().err == (
        f"{root}: 2 listed videos are not on the disk, such as TaiChi/v_3.avi; nothing is there of "
        "the classes TaiChi. Did you mean 'TaiCh'?\n"
    )
    # Where two folders would do, none is taken.
    touch(root, "YoYo_/v_2.avi")
    assert "YoYo/v_2.avi" in load("ucf101", root, annotations=lists).missing


def test_kinetics_as_torchvision_names_its_folders(tmp_path: Path) -> None:
    labels = ["massaging person's head", "tying knot (not on a tie)", "rock scissors paper"]
    rows = "".join(f"{label},{n}aaaaaaaaaa,0,10,train\n" for n, label in enumerate(labels))
    table = write(tmp_path, {"k.csv": f"label,youtube_id,time_start,time_end,split\n{rows}"})
    root = touch(tmp_path / "root", *(
        f"train/{name}/{n}aaaaaaaaaa_000000_000010.mp4" for n, name in enumerate(
            ["massaging_persons_head", "tying_knot_not_on_a_tie", "rock_scissors_paper"])
    ))  # fmt: skip
    videos = load("kinetics", root, annotations=f"{table}/k.csv")
    assert [v.label for v in videos.videos] == labels
    names = write(tmp_path, {"two.txt": "Massaging person\u2019s head\nrock_scissors_paper\n"})
    few = load("kinetics", root, classes=f"{names}/two.txt")
    assert few.classes == ("massaging_persons_head", "rock_scissors_paper")


def test_a_preview_does_not_stand_in_for_a_video(tmp_path: Path) -> None:
    lists = write(tmp_path / "lists", UCF101)
    root = touch(tmp_path / "root", "Zumba/v_Z1.gif", "Zumba/v_Z1.mp4", "Zumba/v_Z1.ts")
    assert found(load("ucf101", root, annotations=lists), root)[0][0] == "Zumba/v_Z1.mp4"
    table = write(tmp_path, {"k.csv": KINETICS}) + "/k.csv"
    touch(root, *(f"ddddddddddd.{suffix}" for suffix in ("gif", "mp4", "ts")))
    val = load("kinetics", root, annotations=table, split="val")
    assert found(val, root) == [("ddddddddddd.mp4", "yoga")]


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-8-sig"])
@pytest.mark.parametrize("disk", ["latin-1", "utf-8"])
def test_lists_and_names_in_other_encodings(tmp_path: Path, encoding: str, disk: str) -> None:
    table = tmp_path / "t.csv"
    table.write_bytes("path,label,split\r\né/café.mp4,Café,train\r\n".encode(encoding))
    path = tmp_path / os.fsdecode("é/café.mp4".encode(disk))
    touch(path.parent, path.name)
    videos = load("csv", None, annotations=str(table))
    assert [(v.path, v.label) for v in videos.videos] == [(path, "Café")]


@pytest.mark.parametrize("name", ["trainlist01.txt", "classInd.txt"])
def test_an_empty_list_of_ucf101_is_an_error(tmp_path: Path, name: str) -> None:
    lists = write(tmp_path / "lists", {**UCF101, name: "\n"})
    with pytest.raises(ValueError, match=f"{name} is empty: expected"):
        load("ucf101", touch(tmp_path, "root/Zumba/v_Z1.avi") / "root", annotations=lists)


def test_an_empty_list_is_an_error(tmp_path: Path) -> None:
    root = str(touch(tmp_path, "root/7.webm") / "root")
    lists = write(tmp_path, {
        "h/a_test_split1.txt": "x.avi 1\n", "h/b_test_split1.txt": " \n", "empty.csv": "",
        "c.csv": "path,label,split\n", "k.csv": "label,youtube_id,time_start,time_end,split\n",
        **{f"s/{name}": text for name, text in SSV2.items()},
        "s/something-something-v2-train.json": "[]",
    })  # fmt: skip
    for kind, name, said in (
        ("hmdb51", "h", "b_test_split1.txt is empty"),
        ("csv", "c.csv", "lists nothing"),
        ("csv", "empty.csv", "lists nothing"),
        ("kinetics", "k.csv", "lists no video"),
        ("kinetics", "empty.csv", "has no column"),
        ("ssv2", "s", "train.json lists no video .* is it empty"),
    ):
        with pytest.raises(ValueError, match=said):
            load(kind, root, annotations=f"{lists}/{name}")


def test_hmdb51(tmp_path: Path) -> None:
    odd = "#1 [NEW] (a)*.b"
    lists = write(tmp_path / "lists", {
        "wave_test_split2.txt": f"{odd}.avi 1 \nx.avi 2 \ny.avi 0 \n",
        "climb_stairs_test_split2.txt": "z.avi 1\n",
        "wave_test_split1.txt": "x.avi 1\n",
        "class_list.txt": "wave\n",
    })  # fmt: skip
    root = touch(tmp_path / "root", f"wave/{odd}.mp4", "wave/x.avi", "climb_stairs/z.MOV")
    train = load("hmdb51", root, annotations=lists, fold=2)
    assert found(train, root) == [("climb_stairs/z.MOV", "climb_stairs"),
                                  (f"wave/{odd}.mp4", "wave")]  # fmt: skip
    assert train.classes == ("climb_stairs", "wave")
    assert found(load("hmdb51", root, annotations=lists, split="test", fold=2), root) == [
        ("wave/x.avi", "wave")
    ]


KINETICS = """label,youtube_id,time_start,time_end,split
air drumming,-aa_bb-0001,10,20,val
air drumming,bbbbbbbbbbb,0,10,validate
yoga,ccccccccccc,5,15,val
yoga,ccccccccccc,5,15,val
yoga,ddddddddddd,1,11,val
yoga,eeeeeeeeeee,1,11,train
zumba,fffffffffff,1,11,val
"""


def test_kinetics(tmp_path: Path) -> None:
    table = write(tmp_path, {"k.csv": KINETICS}) + "/k.csv"
    root = touch(
        tmp_path / "root",
        "validation/air_drumming/-aa_bb-0001_000010_000020.mp4",
        "air drumming/bbbbbbbbbbb.mkv",
        "train/yoga/ccccccccccc.mp4",  # of the other split
        "val/ccccccccccc_000005_000015.webm",
        "ddddddddddd.mp4",
        "val/yoga/deeper/fffffffffff.mp4",
    )
    val = load("kinetics", root, annotations=table, split="val")
    assert found(val, root) == [
        ("validation/air_drumming/-aa_bb-0001_000010_000020.mp4", "air drumming"),
        ("air drumming/bbbbbbbbbbb.mkv", "air drumming"),
        ("val/ccccccccccc_000005_000015.webm", "yoga"),
        ("ddddddddddd.mp4", "yoga"),
    ]
    assert val.classes == ("air drumming", "yoga", "zumba")
    assert val.missing == ("val/zumba/fffffffffff_000001_000011.mp4",)
    names = write(tmp_path, {"two.txt": "Air_drumming\nzumba\n"}) + "/two.txt"
    few = load("kinetics", root, annotations=table, split="val", classes=names)
    assert (few.classes, len(few.videos), len(few.missing)) == (("air drumming", "zumba"), 2, 1)
    with pytest.raises(ValueError, match=r"no video of the split 'test', only of train, val"):
        load("kinetics", root, annotations=table, split="test")


def test_kinetics_by_class_folders(tmp_path: Path) -> None:
    root = touch(tmp_path, "validation/yoga/a.mp4", "train/zumba/b.mp4", "train/yoga/c.mp4")
    val = load("kinetics", root, split="val")
    assert (found(val, root), val.classes) == ([("validation/yoga/a.mp4", "yoga")],
                                               ("yoga", "zumba"))  # fmt: skip
    with pytest.raises(ValueError, match="no folder of the split 'val'"):
        load("kinetics", root / "train", split="val")


SSV2 = {
    "something-something-v2-labels.json": json.dumps({"Spinning something": "1", "Folding": "0"}),
    "something-something-v2-train.json": json.dumps(
        [{"id": "7", "label": "spinning a top", "template": "Spinning [something]"},
         {"id": 12, "label": "folding", "template": "Folding"}]),
    "something-something-v2-validation.json": json.dumps(
        [{"id": "9", "template": "Folding"}, {"id": "10", "template": "Folding"}]),
}  # fmt: skip


def test_ssv2(tmp_path: Path) -> None:
    lists = write(tmp_path / "lists", SSV2)
    root = touch(tmp_path / "root", "7.webm", "12.mp4", "9.webm")
    train = load("ssv2", root, annotations=lists)
    assert found(train, root) == [("7.webm", "Spinning something"), ("12.mp4", "Folding")]
    assert train.classes == ("Folding", "Spinning something")
    for split in ("val", "validation"):
        val = load("ssv2", root, annotations=lists, split=split)
        assert (found(val, root), val.missing) == ([("9.webm", "Folding")], ("10.webm",))
    with pytest.raises(ValueError, match="no labels: use the split 'val'"):
        load("ssv2", root, annotations=lists, split="test")


def test_folder(tmp_path: Path) -> None:
    root = touch(tmp_path / "split", "train/b/x/1.mp4", "train/b/0.avi", "train/b/.1.mp4",
                 "train/loose.mp4", "test/a/2.mp4", "train/b/notes.txt")  # fmt: skip
    train = load("folder", root)
    assert found(train, root) == [("train/b/0.avi", "b"), ("train/b/x/1.mp4", "b")]
    assert train.classes == load("folder", root, split="test").classes == ("a", "b")
    with pytest.raises(ValueError, match="split 'val': expected val or .*, found train, test"):
        load("folder", root, split="val")
    flat = touch(tmp_path / "flat", "b/1.mp4", "a/2.mp4")
    for split in ("train", "test"):
        assert found(load("folder", flat, split=split), flat) == [("a/2.mp4", "a"),
                                                                  ("b/1.mp4", "b")]  # fmt: skip


def test_folders_may_be_links(tmp_path: Path) -> None:
    touch(tmp_path / "disk", "a/1.mp4")
    root = touch(tmp_path / "root", "b/2.mp4")
    (root / "a").symlink_to(tmp_path / "disk" / "a")
    (root / "b" / "again").symlink_to(root / "b")  # a loop
    assert found(load("folder", root), root) == [("a/1.mp4", "a"), ("b/2.mp4", "b")]


def test_csv(tmp_path: Path) -> None:
    rows = "Path,Label,split,n\na/1.mp4,a,train,1\n./b/2.mp4,b,val,2\nb/3.mp4,b,validation,3\n"
    write(tmp_path, {"t.csv": "\ufeff" + rows})
    touch(tmp_path, "a/1.mp4", "b/2.mp4", "b/3.mkv")
    val = load("csv", None, annotations=str(tmp_path / "t.csv"), split="val")
    assert found(val, tmp_path) == [("b/2.mp4", "b"), ("b/3.mkv", "b")]
    assert val.classes == ("a", "b")
    codes = "clip,class,x_split1,x_split2\n1.mp4,a,1.0,\n2.mp4,a,2,1\n3.mp4,b,0,2\n"
    table = write(tmp_path, {"codes.csv": codes}) + "/codes.csv"
    root = touch(tmp_path / "other", "1.mp4", "2.mp4", "3.mp4")
    for fold, split, name in ((1, "train", "1.mp4"), (1, "test", "2.mp4"), (2, "test", "3.mp4")):
        videos = load("csv", root, annotations=table, fold=fold, split=split)
        assert [v.path.name for v in videos.videos] == [name]


def test_synthetic_keeps_the_last_actors_for_testing(tmp_path: Path) -> None:
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "action", "actor"])
        writer.writerows([f"wave/{actor}.mp4", "wave", actor] for actor in range(24))
    touch(tmp_path, *(f"wave/{actor}.mp4" for actor in range(24)))
    splits = {split: load("synthetic", tmp_path, split=split) for split in ("train", "test")}
    actors = {split: [int(v.path.stem) for v in s.videos] for split, s in splits.items()}
    assert actors == {"train": list(range(18)), "test": list(range(18, 24))}
    assert len(splits["train"].classes) == 14


def test_synthetic_reads_what_is_generated(synthetic_folder: Path) -> None:
    num = sum(
        len(load("synthetic", synthetic_folder, split=split).videos) for split in ("train", "test")
    )
    assert num == 6


@pytest.mark.parametrize(
    ("name", "files", "message"),
    [
        ("ucf101", {"trainlist01.txt": "Zumba/../../x.avi 1\n"}, "line 1.*without '..'"),
        ("ucf101", {"trainlist01.txt": "/Zumba/x.avi 1\n"}, "line 1.*relative to the root"),
        ("ucf101", {"trainlist01.txt": "\nx.avi 1\n"}, "line 2: got 'x.avi 1'"),
        ("ucf101", {"trainlist01.txt": "Zumbo/x.avi 1\n"}, "line 1.*Did you mean 'Zumba'"),
        ("ucf101", {"trainlist01.txt": "Zumba/x.avi 2\n"}, "number 2 here, and 1 in classInd"),
        ("ucf101", {"trainlist01.txt": "Zumba/x.avi 0\n"}, "number 0 here, and 1 in classInd"),
        ("ucf101", {"classInd.txt": "Zumba\n"}, "classInd.txt, line 1"),
        ("ucf101", {"classInd.txt": "1 Zumba\n3 Archery\n"}, r"numbers its classes \[1, 3\]"),
        ("hmdb51", {"a_test_split1.txt": "x.avi 1\ny.avi 3\n"}, "line 2: got 'y.avi 3'"),
        ("hmdb51", {"a_test_split1.txt": "../x.avi 1\n"}, "line 1"),
        ("hmdb51", {"a_test_split2.txt": "x.avi 1\n"}, "testTrainMulti_7030_splits"),
        ("ssv2", {"something-something-v2-train.json": "[\n{]"}, "line 2: not JSON"),
        ("ssv2", {"something-something-v2-train.json": '[{"id": 1}]'}, "entry 1: got"),
        ("ssv2", {"something-something-v2-train.json": '[{"id": "../1", "template": "Folding"}]'},
         "entry 1: id '../1'"),
        ("ssv2", {"something-something-v2-train.json": '[{"id": 1, "template": "Foldin"}]'},
         "Did you mean 'Folding'"),
        ("ssv2", {"train.json": "[]"}, r"has .* for \*train.json, expected one file"),
        ("ssv2", {"something-something-v2-labels.json": "[]"}, "holds a list, expected a dict"),
    ],
)  # fmt: skip
def test_mistakes_in_lists(tmp_path: Path, name: str, files: dict[str, str], message: str) -> None:
    good = {"ucf101": UCF101, "hmdb51": {}, "ssv2": SSV2}[name]
    lists = write(tmp_path / "lists", good | files)
    root = touch(tmp_path / "root", "Zumba/x.avi")
    with pytest.raises(ValueError, match=message):
        load(name, root, annotations=lists)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("csv", "path,label,split\n/x.mp4,a,train\n", "line 2.*relative to the root"),
        ("csv", "path,label,split\nx.mp4,a\n", "line 2: got 'x.mp4,a', expected 3 columns"),
        ("csv", "path,label,split\nx.mp4,,train\n", "line 2.*a class name in column 'label'"),
        ("csv", "path,label,split\nx.mp4,a,dev\n", "line 2: got 'dev'"),
        ("csv", "path,label,split\nx.mp4,a,test\n", "no video of the split 'train', only of test"),
        ("csv", "path,label\nx.mp4,a\n", "expected a column 'split' or .* 'split1'"),
        ("csv", "file,label,split\nx.mp4,a,train\n", "no column 'path' or 'clip'"),
        ("csv", "", "lists nothing"),
        ("csv", "path,label,split\nx.mp4,a,train\n", "none of the 1 videos .*root/x.mp4"),
        ("kinetics", "label,youtube_id\na,b\n", "no column 'time_start' and 'time_end'"),
        ("kinetics", "label,youtube_id,time_start,time_end\na,b,c,1\n", "line 2.*in seconds"),
        ("kinetics", "label,youtube_id,time_start,time_end\n,b,0,1\n", "line 2.*a youtube_id"),
    ],
)
def test_mistakes_in_tables(tmp_path: Path, name: str, text: str, message: str) -> None:
    table = write(tmp_path, {"t.csv": text}) + "/t.csv"
    (tmp_path / "root").mkdir()
    with pytest.raises(ValueError, match=message):
        load(name, tmp_path / "root", annotations=table)


def test_mistakes_in_the_request(tmp_path: Path) -> None:
    root = touch(tmp_path / "root", "a/1.mp4", "train/a/1.mp4", "a.txt")
    lists = write(tmp_path / "lists", UCF101)
    for config, message in (
        ({"name": "ufc101"}, "Did you mean 'ucf101'"),
        ({"name": "folder", "fold": 0}, "fold is 1, 2 or 3, got 0"),
        ({"name": "ucf101", "fold": 4}, "fold is 1, 2 or 3, got 4"),
        ({"name": "folder", "fold": 2}, "a single fold"),
        ({"name": "folder", "split": "../x"}, "split is a plain name"),
        ({"name": "ucf101"}, "ucf101 needs `annotations`: the folder ucfTrainTestlist"),
        ({"name": "hmdb51"}, "hmdb51 needs `annotations`"),
        ({"name": "ssv2"}, "ssv2 needs `annotations`"),
        ({"name": "csv"}, "csv needs `annotations`"),
        ({"name": "synthetic"}, "no labels.csv"),
        ({"name": "ucf101", "annotations": lists, "split": "val"}, "splits 'train' and 'test'"),
        ({"name": "ucf101", "annotations": lists, "fold": 2}, "no .*trainlist02.txt"),
        ({"name": "ucf101", "annotations": str(root)}, "no .*classInd.txt"),
        ({"name": "ucf101", "annotations": "nowhere"}, "no nowhere"),
        ({"name": "ucf101", "annotations": lists}, "none of the 2 videos .*/Archery/v_A g01.avi"),
        ({"name": "folder", "annotations": lists}, "leave them out, or name the data set"),
        ({"name": "kinetics", "annotations": lists}, "is a folder, expected a CSV"),
        ({"name": "folder", "classes": str(root / "no.txt")}, "no file"),
        ({"name": "folder", "classes": str(root / "a.txt")}, "names no class"),
        ({"name": "folder", "root": str(root / "a" / "b")}, "no folder"),
        ({"name": "folder", "root": str(root / "a")}, "no videos in class folders"),
    ):
        with pytest.raises(ValueError, match=message):
            load_video_set(DatasetConfig(**{"root": str(root)} | config))  # type: ignore[arg-type]
    required = [name for name in DATASETS if not DATASETS[name].root_optional]
    assert required == ["folder", "hmdb51", "kinetics", "ssv2", "synthetic", "ucf101"]
    for name in required:
        with pytest.raises(ValueError, match=f"{name} needs `root`"):
            load(name, None)
    names = write(tmp_path, {"names.txt": "\nab\n"}) + "/names.txt"
    with pytest.raises(ValueError, match="line 2: the data set has no class 'ab'"):
        load("folder", root, classes=names)


@pytest.mark.parametrize("split", ["val", "../train"])
def test_parsers_refuse_other_splits(tmp_path: Path, split: str) -> None:
    for parse in (parse_ucf101, parse_hmdb51):
        with pytest.raises(ValueError, match="'train' and 'test' in folds 1, 2 and 3"):
            parse(tmp_path, split, 1)


def test_the_table_lists_every_data_set() -> None:
    rows = dataset_table().splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == list(DATASETS)
    assert "one of csv, folder, hmdb51," in (DatasetConfig.__doc__ or "").lower()
