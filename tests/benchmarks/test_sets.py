"""Labelled sets: whose lists, which folds, what is missing and what is a copy."""

from pathlib import Path

import pytest

from benchmarks.small_scale.sets import OFFICIAL, find_lists, load_official

JHMDB, UCF101 = OFFICIAL["jhmdb"], OFFICIAL["ucf101"]


@pytest.fixture
def jhmdb(tmp_path: Path) -> Path:
    """Five clips under three splits, with their CSV beside the folder."""
    rows = ["clip,class,hmdb_split1,hmdb_split2,hmdb_split3"]
    rows += ["run/0.mp4,run,1,2,1", "run/1.mp4,run,2,1,0", "sit/2.mp4,sit,1,1,2"]
    rows += ["sit/3.mp4,sit,2,2,1", "sit/4.mp4,sit,0,1,0"]
    for row in rows[1:]:
        path = tmp_path / "clips" / row.partition(",")[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(row.encode())
    (tmp_path / "jhmdb_splits.csv").write_text("\n".join(rows) + "\n")
    return tmp_path / "clips"


def names(paths: tuple[Path, ...]) -> list[str]:
    return [path.stem for path in paths]


def test_one_fold_is_one_table(jhmdb: Path) -> None:
    found = load_official(JHMDB, jhmdb, None)
    assert list(found.tables) == ["JHMDB"]
    assert (found.mean, found.notes) == (None, ())
    assert names(found.first.paths) == ["0", "2", "1", "3"]
    assert names(found.first.test_paths) == ["1", "3"]
    assert found.first.labels["action"] == ("run", "sit", "run", "sit")
    second = load_official(JHMDB, jhmdb, None, [2])
    assert list(second.tables) == ["JHMDB, split 2"]


def test_several_folds_share_videos_and_have_a_mean(jhmdb: Path) -> None:
    found = load_official(JHMDB, jhmdb, None, [1, 2, 3, 2])
    assert list(found.tables) == ["JHMDB, split 1", "JHMDB, split 2", "JHMDB, split 3"]
    assert found.mean == "JHMDB"
    # Those of the first fold first, so that their features are shared with it alone.
    assert names(found.paths) == ["0", "2", "1", "3", "4"]
    # Of split 2's test videos 0 and 3 the first is trained on under split 1; of split 3's, 2 is.
    assert [note[:42] for note in found.notes] == [
        "JHMDB, split 2: 1 of its 2 test videos are",
        "JHMDB, split 3: 1 of its 1 test videos are",
    ]


def test_jhmdb_is_there_as_a_whole(jhmdb: Path) -> None:
    (jhmdb / "sit" / "4.mp4").unlink()
    assert len(load_official(JHMDB, jhmdb, None).paths) == 4  # of split 1 none is missing
    with pytest.raises(ValueError, match=r"1 videos that .* such as sit/4.mp4"):
        load_official(JHMDB, jhmdb, None, [2])
    with pytest.raises(ValueError, match="official splits 1, 2 and 3, got \\[4\\]"):
        load_official(JHMDB, jhmdb, None, [4])
    with pytest.raises(ValueError, match="no folder"):
        load_official(JHMDB, jhmdb / "nowhere", None)
    with pytest.raises(ValueError, match="nowhere.csv: expected a CSV"):
        load_official(JHMDB, jhmdb, jhmdb / "nowhere.csv")


@pytest.fixture
def ucf101(tmp_path: Path) -> Path:
    """Two of three classes, a missing clip, and copies: a test clip twice, and one for training."""
    lists, clips = tmp_path / "splits" / "ucf101", tmp_path / "clips"
    lists.mkdir(parents=True)
    (lists / "classInd.txt").write_text("1 Archery\n2 Diving\n3 Surfing\n")
    train = ["Archery/a8", "Archery/gone", "Diving/d8", "Surfing/s8"]
    test = ["Archery/a1", "Archery/a2", "Archery/a3", "Diving/d1", "Surfing/s1", "Surfing/s2"]
    numbers = {"Archery": 1, "Diving": 2, "Surfing": 3}
    rows = [f"{name}.avi {numbers[name.partition('/')[0]]}\n" for name in train]
    (lists / "trainlist01.txt").write_text("".join(rows))
    (lists / "testlist01.txt").write_text("".join(f"{name}.avi\n" for name in test))
    contents = {
        "a8": "A",
        "s8": "Copy",
        "a1": "B",
        "a2": "BB",
        "a3": "BB",
        "s1": "CC",
        "s2": "Copy",
    }
    for name in (*train, *test):
        stem = name.partition("/")[2]
        if stem in contents:
            path = clips / f"{name}.mp4"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(contents[stem])
    return clips


def test_ucf101_is_what_is_there_of_it_without_copies(ucf101: Path) -> None:
    found = load_official(UCF101, ucf101, None)
    assert names(found.first.paths) == ["a8", "s8", "a1", "a2", "s1"]
    assert names(found.first.copies) == ["a3", "s2"]
    assert found.first.num_train == 2
    missing, copies = found.notes
    assert missing == (
        "UCF101: 2 of 3 classes are there (Archery, Surfing); listed videos of these that are "
        "missing: Archery/gone.avi."
    )
    assert copies.startswith("UCF101: 2 of 5 test videos not counted")
    assert copies.endswith("a3.mp4, s2.mp4.")
    with pytest.raises(ValueError, match="no .*testlist03.txt|no .*trainlist03.txt"):
        load_official(UCF101, ucf101, None, [3])


def test_lists_are_found_near_the_videos(ucf101: Path) -> None:
    assert find_lists(UCF101, ucf101) == ucf101.parent / "splits" / "ucf101"
    (ucf101 / "ucfTrainTestlist").mkdir()
    assert find_lists(UCF101, ucf101) == ucf101 / "ucfTrainTestlist"
    with pytest.raises(ValueError, match="or named by --jhmdb_splits"):
        find_lists(JHMDB, ucf101)


def test_a_folder_without_listed_videos_is_refused(ucf101: Path) -> None:
    for path in ucf101.rglob("*8.mp4"):
        path.unlink()
    with pytest.raises(ValueError, match="none of the 4 train videos"):
        load_official(UCF101, ucf101, None)
