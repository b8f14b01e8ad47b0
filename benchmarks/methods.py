"""Where do the methods of Table 1 look? ``python -m benchmarks.methods RUNS``.

RUNS is a folder of models that ``benchmarks/plans/methods.yaml`` trained, one for each method at
the same cost. For each: how well it does its own task on synthetic videos that it has not seen,
beside chance; where the map of its own answer lies (exact: its head is a linear reading of pooled
features), as a share of the map's positive part over the share of the pixels, beside the same
network with random weights; and retrieval among JHMDB's training clips, from what the plan
measured. Give several folders for several seeds. The map of a method that answers no better than
chance says nothing of the method.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from analysis.core.statistics import Estimate
from analysis.studies.registry import run_study
from benchmarks.plan import read_plan
from benchmarks.small_scale.tables import markdown
from rspnet.evaluate import EvaluateConfig, evaluate
from rspnet.files import atomic_path
from rspnet.weights.checkpoint import load_model

PLAN = Path(__file__).parent / "plans" / "methods.yaml"
REGIONS = ("limbs", "prop")
TITLES = {
    "rsp": "RSPNet, RSP: which clip is as fast",
    "avid": "RSPNet, A-VID: which clip is of the same video",
    "moco": "MoCo: which clip is of the same video",
    "pace": "Pace: which of four paces",
    "pace_long": "Pace, three times the samples",
    "speednet": "SpeedNet: is it sped up",
    "speednet_long": "SpeedNet, three times the samples",
    "cliporder": "ClipOrder: the order of three clips",
    "vcp": "VCP: what was done to the middle clip",
}


@dataclass(frozen=True)
class Row:
    """One head of one run.

    Attributes:
        head: Of :data:`TITLES`.
        accuracy: Of its task on unseen synthetic videos.
        chance: Of guessing.
        located: By region, the trained map's ratio and that of random weights.
        retrieved: Top-1 among JHMDB's training clips by max-pooled features, in percent.
    """

    head: str
    accuracy: float
    chance: float
    located: dict[str, list[Estimate]]
    retrieved: float

    def to_json(self) -> dict[str, object]:
        """As plain values."""
        located = {region: [one.to_json() for one in pair] for region, pair in self.located.items()}
        return {**vars(self), "located": located}


def measure(run: Path, videos: Path, num_videos: int, size: int) -> list[Row]:
    """The heads that a run trained.

    Args:
        run: Folder of the run.
        videos: Synthetic videos that it has not seen.
        num_videos: For the maps.
        size: Height and width of their clips; larger than in training for a finer grid.
    """
    model = str(run / "model.safetensors")
    found = evaluate(EvaluateConfig(model=model, videos=str(videos)))
    table = run_study("localisation", model=model, num_videos=num_videos, size=size, num_random=1)
    task = found["result"].get("task")
    method = load_model(model).metadata["config"]["method"]
    if task is not None:
        heads = {run.name: ("task", "task", task["accuracy"], task["chance"])}
    else:
        result = found["result"]
        heads = {"avid": ("margin", "avid", result["avid_top1"], 1 / result["num_videos"])}
        if method == "moco":
            heads = {"moco": heads["avid"]}
        else:
            heads["rsp"] = ("margin_faster", "rsp", result["rsp_accuracy"], 0.5)
    retrieved = json.loads((run / "result.json").read_text())["max top-1"]
    return [
        Row(
            head,
            accuracy,
            chance,
            {
                region: [
                    table.one(kind=kind, head=key, region=region, speed="both", weights=weights)[
                        "ratio"
                    ]
                    for weights in ("trained", "random weights")
                ]
                for region in REGIONS
            },
            retrieved,
        )
        for head, (kind, key, accuracy, chance) in heads.items()
    ]


def pooled(rows: Sequence[Row]) -> Row:
    """Seeds of one head as one row: means, and the hull of their intervals."""
    first = rows[0]
    located = {
        region: [
            Estimate(
                value=sum(row.located[region][i].value for row in rows) / len(rows),
                low=min(row.located[region][i].low for row in rows),
                high=max(row.located[region][i].high for row in rows),
                num=first.located[region][i].num,
            )
            for i in range(2)
        ]
        for region in REGIONS
    }
    accuracy, retrieved = (
        sum(getattr(row, name) for row in rows) / len(rows) for name in ("accuracy", "retrieved")
    )
    return Row(first.head, accuracy, first.chance, located, retrieved)


def table(rows: Sequence[Row]) -> str:
    """Markdown."""
    header = ["task", "right, unseen videos", "chance", "map in limbs", "random weights"]
    header += ["map on the prop", "random weights", "JHMDB top-1"]
    cells = [
        [TITLES[row.head], f"{row.accuracy:.2f}", f"{row.chance:.2f}"]
        + [str(one) for region in REGIONS for one in row.located[region]]
        + [f"{row.retrieved:.1f}"]
        for row in rows
    ]
    return markdown(header, cells)


def draw(rows: Sequence[Row]) -> Figure:
    """Where each map lies: in moving limbs and on the prop, beside random weights."""
    figure = Figure((8.4, 0.45 * len(rows) + 1.2), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    titles = ("in moving limbs", "on the prop beside the actor")
    for axis, region, title in zip(axes, REGIONS, titles, strict=True):
        axis.axvline(1, color="0.7", linewidth=0.8)
        for place, row in enumerate(rows):
            for one, dy, colour in zip(
                row.located[region], (-0.12, 0.16), ("tab:orange", "0.6"), strict=True
            ):
                axis.plot([one.low, one.high], [place + dy] * 2, color=colour, linewidth=1.6)
                axis.plot(one.value, place + dy, "o", color=colour, markersize=4.5)
        axis.set_title(title, fontsize=9, loc="left")
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    words = [
        f"{TITLES[row.head]}\n{row.accuracy:.0%} right, chance {row.chance:.0%}" for row in rows
    ]
    axes[0].set_yticks(range(len(rows)), words, fontsize=7.5)
    axes[0].invert_yaxis()
    axes[0].plot([], [], "o-", color="tab:orange", label="trained")
    axes[0].plot([], [], "o-", color="0.6", label="random weights")
    figure.legend(fontsize=7.5, frameon=False, loc="outside upper right", ncols=2)
    figure.supxlabel("share of the map over share of the pixels (1: a uniform map)", fontsize=8)
    return figure


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, help="folders of the plan's runs, one a seed")
    parser.add_argument("--videos", type=Path, required=True, help="unseen synthetic videos")
    parser.add_argument("--num_videos", type=int, default=40, help="for the maps")
    parser.add_argument("--size", type=int, default=112, help="of their clips, in pixels")
    parser.add_argument("--out", type=Path, help="JSON file for the rows of all seeds")
    parser.add_argument("--figure", type=Path, help="PNG, SVG or PDF file")
    options = parser.parse_args(arguments)
    by_head: dict[str, list[Row]] = {}
    for folder in options.runs:
        for run in read_plan(PLAN):
            if not (folder / run.name / "result.json").is_file():
                print(f"{folder / run.name} is not there or not done", file=sys.stderr)
                continue
            for row in measure(folder / run.name, options.videos, options.num_videos, options.size):
                by_head.setdefault(row.head, []).append(row)
    rows = [pooled(by_head[head]) for head in TITLES if head in by_head]
    if not rows:
        parser.error(f"no run of {PLAN.name} is done in {[str(path) for path in options.runs]}")
    print(table(rows))
    if options.out is not None:
        plain = {head: [row.to_json() for row in own] for head, own in by_head.items()}
        with atomic_path(options.out) as temporary:
            temporary.write_text(json.dumps(plain, indent=1) + "\n")
    if options.figure is not None:
        draw(rows).savefig(options.figure, dpi=200)
    return 0


if __name__ == "__main__":
    sys.exit(main())
