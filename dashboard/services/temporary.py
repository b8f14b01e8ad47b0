"""The folder of what the app keeps only while it runs, such as what a visitor sends.

It goes when the app ends. What an app leaves that was killed goes when the next one starts: each
holds a lock on its own folder for as long as it lives, which the system releases however it ends,
so that no folder of a living app is taken for one that was left (not on Windows, where folders
can't be locked).
"""

import atexit
import contextlib
import os
import shutil
import sys
import tempfile
import threading
from pathlib import Path

if sys.platform != "win32":
    import fcntl

PREFIX = "rspnet-uploads-"
_making = threading.Lock()
_own: list[Path] = []


def folder() -> Path:
    """This app's folder: made when first needed, for this user of the system alone."""
    with _making:
        if not _own or not _own[-1].is_dir():
            # Under another name until it is locked: nobody may take it for one that was left.
            made = Path(tempfile.mkdtemp(prefix=f".{PREFIX}"))
            if sys.platform != "win32":
                fcntl.flock(os.open(made, os.O_RDONLY), fcntl.LOCK_EX)  # open until the app ends
            _own.append(made.rename(made.with_name(made.name.removeprefix("."))))
            atexit.register(shutil.rmtree, _own[-1], ignore_errors=True)
        return _own[-1]


def remove() -> None:
    """Delete it, at the end of the app."""
    for path in _own:
        shutil.rmtree(path, ignore_errors=True)


def sweep() -> list[Path]:
    """Delete what apps of this user have left that were killed.

    Returns:
        The folders that are gone.
    """
    gone = []
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # another user's, or one that lives
            if path not in _own and not path.is_symlink() and _is_left(path):
                shutil.rmtree(path)
                gone.append(path)
    return gone


def _is_left(path: Path) -> bool:
    """Whether nobody holds the lock.

    Raises:
        OSError: Somebody does, or the folder is not this user's.
    """
    if sys.platform == "win32" or path.stat().st_uid != os.getuid():
        return False
    held = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(held)
    return True
