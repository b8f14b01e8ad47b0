"""Memory that nothing uses any more goes back to the system.

Frames and pictures come and go in pieces of some megabytes, in the threads of all sessions. The C
library keeps what is freed of them, and a server that runs for days would show the sum of its
worst moments.
"""

import contextlib
import ctypes
import sys
import threading
import time

SECONDS = 10.0
_lock = threading.Lock()
_last = -SECONDS


def trim_heap() -> bool:
    """Give free memory back, but not more often than every :data:`SECONDS`.

    Returns:
        Whether it was tried: only glibc (Linux) has a call for it.
    """
    global _last
    if sys.platform != "linux":
        return False
    with _lock:
        now = time.monotonic()
        if now - _last < SECONDS:
            return False
        _last = now
    with contextlib.suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)
        return True
    return False
