"""Accuracies from logits."""

import json

import numpy as np
import pytest

from rspnet.recognition.result import score

CLASSES = ("a", "b", "c", "d", "e", "f", "g")


def clips(*rows):
    return np.array([[*row, *[-9.0] * (7 - len(row))] for row in rows], float)


def test_accuracies_by_hand(tmp_path):
    logits = [
        clips([2, 0], [0, 1]),  # a; clips say a and b, their mean a
        clips([0, 3], [4, 0]),  # b; clips say b and a, their mean a: wrong
        clips([0, 0, 5]),  # c
        np.array([[7, 6, 5, 4, 3, 2, 1.0]]),  # g: last of seven, not among five
    ]
    result = score(logits, [0, 1, 2, 6], CLASSES, {"kind": "by hand"}, [("x.mp4", "cut off")])
    assert result.video_top1 == 0.5
    assert result.video_top5 == 0.75
    assert result.clip_top1 == 3 / 6
    assert result.class_accuracy == {
        "a": 1.0, "b": 0.0, "c": 1.0, "d": None, "e": None, "f": None, "g": 0.0,
    }  # fmt: skip
    assert result.confusion[1][0] == result.confusion[6][0] == 1
    assert np.sum(result.confusion) == 4 == result.num_videos
    low, high = result.video_top1_interval
    assert 0 <= low < 0.5 < high <= 1
    plain = json.loads(result.save(tmp_path / "r" / "result.json").read_text())
    assert plain["protocol"] == {"kind": "by hand"}
    assert plain["unreadable"] == [["x.mp4", "cut off"]]
    assert "video top-1 50.0%" in result.line()
    assert "clip top-1 50.0%" in result.line()


def test_of_equal_logits_the_earlier_class_is_the_answer():
    assert score([np.zeros((1, 7))], [0], CLASSES, {}).video_top1 == 1.0
    assert score([np.zeros((1, 7))], [1], CLASSES, {}).video_top1 == 0.0


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="logits for each label, got 0 and 0"):
        score([], [], CLASSES, {})
    with pytest.raises(ValueError, match=r"\(clips, 7\), got rows of \[\(3,\)\]"):
        score([np.zeros((1, 3))], [0], CLASSES, {})
