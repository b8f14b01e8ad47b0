"""What is held of decoded frames is bounded, and free memory goes back to the system.

Frames and pictures come and go in pieces of some megabytes, in the threads of all sessions. The C
library keeps what is freed of them, and a server that runs for days would show the sum of its
worst moments.
"""

import contextlib
import ctypes
import functools
import gc
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

from numpy.typing import NDArray

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


@functools.cache
def freeze_libraries() -> None:
    """Take what is loaded out of the search for garbage, once: the libraries stay for good.

    Streamlit searches after every run of a page, and so at every move of a scrubber. With torch
    loaded a search takes 0.1 s, in which no other session's page gets on.
    """
    gc.collect()
    gc.freeze()


class ArrayCache:
    """Arrays by key for all sessions: those used last, up to a number of bytes in all.

    Args:
        most: Bytes that are held. A larger array is made each time.
        at_once: How many are made at a time: each takes memory of its own meanwhile.

    Example:
        >>> cache = ArrayCache(most=100, at_once=1)
        >>> int(cache.get("a", lambda: np.zeros(80, np.uint8)).sum())
        0
        >>> _ = cache.get("b", lambda: np.ones(40, np.uint8))
        >>> cache.num_bytes
        40
    """

    def __init__(self, most: int, at_once: int) -> None:
        self.most = most
        self.num_bytes = 0
        self._held: OrderedDict[Hashable, NDArray[Any]] = OrderedDict()
        self._lock = threading.Lock()
        self._making = threading.BoundedSemaphore(at_once)

    def get(self, key: Hashable, make: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """A copy of the array of this key, made if it is not held."""
        with self._lock:
            found = self._held.get(key)
            if found is not None:
                self._held.move_to_end(key)
                return found.copy()
        with self._making:
            made = make()
        with self._lock:
            if key not in self._held and made.nbytes <= self.most:
                self._held[key] = made.copy()
                self.num_bytes += made.nbytes
            while self.num_bytes > self.most:
                self.num_bytes -= self._held.popitem(last=False)[1].nbytes
        return made
