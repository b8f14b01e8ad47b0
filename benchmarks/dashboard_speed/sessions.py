"""Many visitors at once: what the slow work of some does to the scrubber of the others."""

import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from benchmarks.dashboard_speed.parts import Row
from benchmarks.dashboard_speed.server import Server, served
from benchmarks.dashboard_speed.session import Session
from rspnet.data.video.encode import write_video

NUM_VIDEOS = 48
MOVES = 5


def measure(folder: Path, model: Path | None, num: int) -> Iterator[Row | str]:
    """Move the scrubber in all sessions, alone and while others' work is under way.

    Args:
        folder: For the videos and the log.
        model: A model file; nothing for the one that ships.
        num: Sessions.
    """
    rng = np.random.default_rng(0)
    videos = folder / "many"
    for n in range(NUM_VIDEOS):
        frames = rng.integers(0, 255, (80, 96, 128, 3)).astype(np.uint8)
        write_video(videos / "noise" / f"{n:02d}.mp4", frames, 25.0, preset="ultrafast")
    words = ["--videos", str(videos), *(["--model", str(model)] if model else [])]
    with served(folder / "sessions.log", words) as server, ExitStack() as stack:
        visitors = []
        for n in range(num):
            query = f"i=noise/{n % 8:02d}.mp4&j=noise/{8 + n % 8:02d}.mp4"
            visitor = Session(server.address, "compare", query)
            stack.enter_context(visitor)
            visitor.run()
            visitors.append(visitor)
        yield Row(name="scrubber, one session", seconds=_move(visitors[:1]), aim=0.1)
        yield Row(name=f"scrubber, {num} sessions", seconds=_move(visitors), aim=0.5)
        yield _memory(server, f"after {num} sessions")
        with Session(server.address, "retrieval") as slow:
            slow.send()  # embeds the gallery
            time.sleep(3)
            seconds = _move(visitors)
        yield Row(name=f"scrubber, {num} sessions, a gallery under way", seconds=seconds, aim=1.0)
        pairs = []
        for n, visitor in enumerate(visitors):
            visitor.query = f"i=noise/{16 + n:02d}.mp4&j=noise/{47 - n:02d}.mp4"
            pairs.append(threading.Thread(target=visitor.run))
            pairs[-1].start()
        seconds = []
        with Session(server.address, "compare", "i=noise/00.mp4&j=noise/08.mp4") as scrubbing:
            scrubbing.run()
            seconds = _move([scrubbing])
            for thread in pairs:
                thread.join()
        yield Row(name=f"scrubber while {num} others change the pair", seconds=seconds, aim=1.0)
        yield _memory(server, f"after {num} more pairs")


def _move(visitors: list[Session]) -> list[float]:
    """Seconds of each move, of all sessions together, each moving every half second."""
    seconds: list[float] = []

    def move(visitor: Session) -> None:
        for _ in range(MOVES):
            seconds.append(visitor.run_part())
            time.sleep(0.5)

    threads = [threading.Thread(target=move, args=(visitor,)) for visitor in visitors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    slowest = sorted(seconds)[-max(1, len(seconds) // 20) :]
    return [statistics.median(seconds), slowest[0], slowest[-1]]


def _memory(server: Server, when: str) -> str:
    held = server.memory()
    return f"MB {when}: {held.resident:.0f} resident, {held.own:.0f} own, {held.cached:.0f} cached"
