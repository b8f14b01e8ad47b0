"""Processes that end with the app, however that ends.

``python -m dashboard.services.child PARENT MODULE ...`` runs a module as ``python -m`` does, and
ends it with all that it started once its parent, the process of this number, is gone. (On Windows
nothing is watched: there a process ends only when its work is done or the app ends it.)
"""

import contextlib
import os
import runpy
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from dashboard.base.arguments import ROOT

SECONDS = 0.5


@contextlib.contextmanager
def child(module: str, *words: str, **options: Any) -> "Iterator[subprocess.Popen[bytes]]":
    """A process that ends with the block, or with the app if that ends first.

    Args:
        module: What it runs, in the repository's root.
        *words: Its arguments.
        **options: Of :class:`subprocess.Popen`, such as where its output goes.
    """
    command = [sys.executable, "-m", "dashboard.services.child", str(os.getpid()), module, *words]
    # In a group of its own, so that its workers end with it.
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, start_new_session=True, **options
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                if sys.platform != "win32":
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
                process.kill()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(SECONDS)
    if sys.platform != "win32" and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def main(argv: list[str]) -> None:
    """Run the module, and watch the parent meanwhile."""
    parent, module, *rest = argv
    if sys.platform != "win32":
        threading.Thread(target=_end_with, args=(int(parent),), daemon=True).start()
    sys.argv = [module, *rest]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
