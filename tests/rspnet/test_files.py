"""Files written whole or not at all, and what is said where they can't be."""

import csv
import errno
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from rspnet import files
from rspnet.commands.run import describe_os_error
from rspnet.files import atomic_path, folder_lock, printable, write_skipped


def test_a_file_is_whole_or_not_there(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with atomic_path(path) as temporary:
        temporary.write_text("first")
        assert not path.exists()
    with pytest.raises(TypeError), atomic_path(path) as temporary:
        temporary.write_text(b"second")
    assert path.read_text() == "first"
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]
    assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask():
    value = os.umask(0)
    os.umask(value)
    return value


def test_errors_name_the_file_and_not_the_temporary_one(tmp_path, monkeypatch):
    def full(_handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space") as caught, atomic_path(tmp_path / "a") as temp:
        temp.write_text("x")
    assert caught.value.filename == str(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="exists") as caught, atomic_path(tmp_path / "file" / "a"):
        pass
    said = f"{tmp_path / 'file'} is a file, but a folder is expected there: choose another place"
    assert describe_os_error(caught.value) == said


def test_errors_about_other_files_keep_their_names(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, atomic_path(tmp_path / "a"):
        (tmp_path / "nowhere").read_text()
    assert caught.value.filename == str(tmp_path / "nowhere")


def _torch(path):
    torch.save({"a": torch.zeros(100_000)}, path)


def _safetensors(path):
    save_file({"a": torch.zeros(100_000)}, path)


def _numpy(path):
    np.savez(path, a=np.zeros(100_000))


def _picture(path):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (300, 300, 3), np.uint8)).save(path)


def _bytes(path):
    path.write_bytes(b"0" * 400_000)


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file may grow beyond 64 KiB, which fails like a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (_torch, "a.pt"),
        (_safetensors, "a.safetensors"),
        (_numpy, "a.npz"),
        (_picture, "a.png"),
        (_bytes, "a.bin"),
    ],
)
def test_a_full_disk_is_said_whatever_library_writes(write, name, tmp_path, small_files):
    with (
        pytest.raises(OSError, match="large|space") as caught,
        atomic_path(tmp_path / name) as temporary,
    ):
        write(temporary)
    assert describe_os_error(caught.value).startswith(f"the disk is full: {tmp_path / name} could")
    assert list(tmp_path.iterdir()) == []


_HOLD = """
import os, sys, time
from rspnet.files import folder_lock
with folder_lock(sys.argv[1]):
    if not os.fork():
        print(os.getpid(), flush=True)
    time.sleep(60)
"""


def test_a_folder_has_one_writer_and_a_killed_one_leaves_it_free(tmp_path):
    folder = tmp_path / "new"
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(folder)], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        forked = int(other.stdout.readline())
        with pytest.raises(ValueError, match=f"{folder} is being written by process {other.pid}"):
            folder_lock(folder).__enter__()
        other.kill()
        other.wait()
        try:  # the forked process lives on, without the lock
            with folder_lock(folder), pytest.raises(ValueError, match=f"process {os.getpid()}"):
                folder_lock(folder).__enter__()
        finally:
            os.kill(forked, signal.SIGKILL)
    assert list(folder.iterdir()) == []
    with folder_lock(tmp_path / "empty"):
        pass
    assert not (tmp_path / "empty").exists()


def test_where_there_are_no_locks_that_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(files, "fcntl", None)
    with folder_lock(tmp_path), folder_lock(tmp_path):
        pass
    assert f"{tmp_path} can't be locked here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (os.fsdecode(b"caf\xe9.mp4"), r"caf\xe9.mp4"),
        ("two\nlines\x1b.mp4", r"two\x0alines\x1b.mp4"),
        ("\ud83d.mp4", r"\ud83d.mp4"),
        ("café 東京\u3000.mp4", "café 東京\u3000.mp4"),
    ],
)
def test_any_name_can_be_printed(name, shown):
    assert printable(name) == shown
    printable(name).encode()


def test_the_list_of_skipped_files_can_be_opened_by_anyone(tmp_path):
    rows = [(os.fsdecode(b"caf\xe9.mp4"), "=1+1"), ("@SUM.mp4", "two\nlines"), ("a.mp4", "-1")]
    path = write_skipped(tmp_path, "unreadable.csv", rows)
    with path.open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [
            ["path", "reason"],
            [r"caf\xe9.mp4", "'=1+1"],
            ["'@SUM.mp4", r"two\x0alines"],
            ["a.mp4", "'-1"],
        ]


def test_a_temporary_file_has_no_longer_name_than_a_long_one(tmp_path):
    path = tmp_path / f"{'m' * 251}.csv"
    with atomic_path(path) as temporary:
        temporary.write_text("whole")
        assert temporary.suffix == ".csv"
        assert temporary.name.startswith(".")
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
