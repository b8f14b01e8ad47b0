"""Place a gallery's videos by t-SNE or UMAP, in a process of its own.

Neither scikit-learn nor umap-learn can be told to stop: their work is one call without a callback,
which takes minutes for a large gallery. So it runs here, and who waits for it may end this process.
``python -m dashboard.app_pages.embedding.worker FOLDER`` reads the request from the folder and
writes the response beside it.
"""

import pickle
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dashboard.services import temporary
from dashboard.services.child import child

if TYPE_CHECKING:
    from analysis.gallery.neighbours import Space
    from analysis.gallery.projection import Embedding
    from dashboard.services.jobs import Job

REQUEST, RESPONSE = "request.pickle", "response.pickle"
POLL_SECONDS = 0.1
MODULE = "dashboard.app_pages.embedding.worker"


@dataclass(frozen=True)
class ProjectionRequest:
    """Arguments of :func:`analysis.gallery.projection.embed_space`.

    Attributes:
        space: The videos by one feature.
        method: ``tsne`` or ``umap``.
        num_clusters: k-means clusters; 0 for none.
    """

    space: "Space"
    method: str
    num_clusters: int


def place(request: ProjectionRequest, job: "Job") -> "Embedding":
    """Place the videos in another process, which ends when the job is told to stop.

    Args:
        request: What to place, and how.
        job: Checked ten times a second.

    Raises:
        StoppedError: The job was told to stop.
        ValueError: As :func:`analysis.gallery.projection.embed_space`, or the process ended without
            a response.
    """
    with tempfile.TemporaryDirectory(dir=temporary.folder()) as name:
        folder = Path(name)
        (folder / REQUEST).write_bytes(pickle.dumps(request))
        with (folder / "log.txt").open("w+", encoding="utf-8", errors="replace") as log:
            with child(MODULE, name, stdout=log, stderr=log) as process:
                _wait(process, job)
                status = process.returncode
            log.seek(0)
            last = log.read().strip().splitlines()[-1:] or ["no message"]
        if status != 0:
            raise ValueError(f"the process that makes it ended with status {status}: {last[0]}")
        found: Embedding | str = pickle.loads((folder / RESPONSE).read_bytes())
    if isinstance(found, str):
        raise ValueError(found)
    return found


def _wait(process: "subprocess.Popen[bytes]", job: "Job") -> None:
    while True:
        job.check()
        try:
            process.wait(POLL_SECONDS)
            return
        except subprocess.TimeoutExpired:
            continue


def main(argv: list[str]) -> None:
    """Read the request in a folder, and write the response: the map, or why there is none."""
    from analysis.gallery.projection import embed_space

    folder = Path(argv[0])
    request: ProjectionRequest = pickle.loads((folder / REQUEST).read_bytes())
    found: Embedding | str
    try:
        found = embed_space(request.space, request.method, num_clusters=request.num_clusters)
    except ValueError as error:
        found = str(error)
    (folder / RESPONSE).write_bytes(pickle.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
