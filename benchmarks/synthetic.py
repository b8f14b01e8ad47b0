"""Generated videos: how many a minute, masks and files included.

python -m benchmarks.synthetic [--num_videos 40] [--num_workers 2]
"""

import argparse
import sys
import tempfile
import time

from benchmarks.harness import describe_machine, print_row
from rspnet.data.synthetic.videos import generate, read_labels, render_video
from rspnet.files import default_threads


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num_videos", type=int, default=40)
    parser.add_argument("--num_workers", type=int, default=default_threads())
    options = parser.parse_args()
    print(describe_machine("av", "opencv-python-headless", "numpy"))
    begin = time.perf_counter()
    num_frames = sum(len(render_video(0, index).frames) for index in range(4))
    rendering = (time.perf_counter() - begin) / num_frames
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        generate(folder, options.num_videos, 0, num_workers=options.num_workers, progress=False)
        seconds = time.perf_counter() - begin
        frames = sum(int(row["num_frames"]) for row in read_labels(folder))
    print_row("rendering alone, one process, ms a frame", f"{rendering * 1000:.1f}")
    print_row(
        f"videos a minute, {options.num_workers} processes",
        f"{60 * options.num_videos / seconds:.0f}",
    )
    print_row("their frames a second", f"{frames / seconds:.0f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
