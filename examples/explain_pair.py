"""What does each head of a model look at? ``python examples/explain_pair.py``.

Explains two clips of one video by their similarity and by the margin that RSP is trained on, and
writes the margin map over the clip's frames. Without ``--video`` it renders a synthetic one.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from analysis import explain_margin, explain_pair, load_view
from analysis.figures.overlay import common_limit, draw_overlay
from rspnet import load_model
from rspnet.data.synthetic.videos import render_video
from rspnet.data.video.encode import write_video


def main(video: str, model: str, out: Path) -> dict[str, float]:
    """Explain a video, write ``pair.npz``, ``margin.npz`` and ``margin.png``, return the scores."""
    query, key = load_model(model, "query"), load_model(model, "key")
    size = {"num_frames": query.num_frames, "size": query.size}
    c_i = load_view(video, **size, start=0, speed=2)  # the query clip, at twice the speed
    c_j = load_view(video, **size, start=10, speed=2)  # another clip of the same speed
    c_k = load_view(video, **size, start=10, speed=1)  # the same place at the other speed

    pair = explain_pair(query, key, c_i.clip, c_j.clip, info_i=c_i.info, info_j=c_j.info)
    for name, head in pair.heads.items():
        # Contributions are exact: they sum to the cosine similarity of the two embeddings.
        print(f"{name}: s = {head.similarity:+.4f} = {head.contribution_i.sum():+.4f}")
    pair.save(out / "pair.npz")

    # s_ij - s_ik: what all three clips share cancels, what tells their speeds apart is left.
    found = explain_margin(query, key, "rsp", c_i, c_j, [c_k])
    found.save(out / "margin.npz")
    print(f"rsp: margin = {found.margin:+.4f} = {found.map_i.values.sum():+.4f}")
    limit = common_limit([found.map_i.values])
    frames = draw_overlay(c_i.frames, found.map_i.values, found.map_i.grid, limit=limit, scale=2)
    Image.fromarray(np.concatenate(list(frames[:: len(frames) // 4]), axis=1)).save(
        out / "margin.png"
    )
    return {"margin": found.margin} | {name: h.similarity for name, h in pair.heads.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Explain two clips of a video.")
    parser.add_argument("--video", help="a video of 42 frames or more; else a synthetic one")
    parser.add_argument("--model", default="default", help="model file or shipped name")
    parser.add_argument("--out", type=Path, default=Path("runs/explain_pair"), help="folder")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.video is None:
        made = render_video(9, 13)
        options.video = str(options.out / "synthetic.mp4")
        write_video(options.video, made.frames, made.fps)
    main(options.video, options.model, options.out)
    print(f"wrote pair.npz, margin.npz and margin.png to {options.out}")
