"""Runs a plan of pre-trainings on a few real videos, and says what each was good for.

    python -m benchmarks.pretraining PLAN.yaml --jhmdb DIR --real DIR ... --dry_run
    python -m benchmarks.pretraining PLAN.yaml --jhmdb DIR --real DIR ...

Real videos are the training clips of JHMDB under HMDB51's split 1 and all of ``--real``; no test
clip of JHMDB is seen or looked at. The table gives, for each run, both tasks in its last steps,
both again on generated videos that none has seen and RSP's order on JHMDB's training clips (seen
where a run has real videos), always at 1x and 2x, and retrieval among JHMDB's training clips, each
looking in clips of other sources than its own: that is what a recipe is chosen by. What the chosen
models are worth is for ``small_scale.py`` to say.

``--seed 1`` trains the whole plan once more with other draws of weights, clips and views, in a
folder of its own. ``--references`` adds the rows of what needs no learning under the same rule:
histograms of colour, flow and gradients, and random weights of the last run's encoder.

``--dry_run`` reads every configuration and says what would be seen, and computes nothing. Runs that
are done are not done again; stop it when you like, the same command resumes. Two shells may share a
plan with ``--only``.
"""

import argparse
import csv
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from tqdm import tqdm

from benchmarks.small_scale.features import Embed, clip_features, find_splits, jhmdb_videos
from benchmarks.small_scale.histograms import NAMES as HISTOGRAM_NAMES
from benchmarks.small_scale.histograms import histograms
from benchmarks.small_scale.plan import Run, choose, read_plan
from benchmarks.small_scale.tables import markdown
from benchmarks.small_scale.validation import KS, held_out_tasks, read_sources, without_own_source
from rspnet.data.listing import list_videos
from rspnet.data.synthetic.videos import generate
from rspnet.files import atomic_path, default_cache_folder
from rspnet.models import Branch
from rspnet.retrieval.store import Protocol
from rspnet.train import train
from rspnet.training.config import TrainConfig
from rspnet.training.stopping import EXIT_STOPPED, StoppedError
from rspnet.weights.checkpoint import load_model

Row = dict[str, float | int | str]
NUM_CLIPS = 5
HISTOGRAM_SIZE = 112  # pixels of the histograms' view, as in small_scale.py
HISTOGRAMS, RANDOM = "histograms", "random weights"  # references: their folders and rows begin so
LAST_ROWS = 10  # of metrics.csv: what a run came to
LEARNED = 0.9  # order in a row of metrics.csv: when RSP is found
HELD_OUT_SEED = 3000  # of generated videos: not that of training, of small_scale.py or of analysis


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = made.add_argument
    add("plan", type=Path, help="YAML file of runs")
    add("--out", type=Path, default=Path("runs/pretraining"), help="folder of the runs")
    add("--jhmdb", type=Path, required=True, help="folder of JHMDB's class folders")
    add("--jhmdb_splits", type=Path, help="CSV of its splits; nothing: found as in small_scale.py")
    add("--real", type=Path, nargs="*", default=[], help="more folders of videos")
    add("--num_generated", type=int, default=1200, help="generated videos")
    add("--num_held_out", type=int, default=64, help="videos that both tasks are evaluated on")
    add("--only", nargs="+", metavar="NAME", help="these runs, and what they come after")
    add("--seed", type=int, default=0, help="of weights, clips and views; the videos stay the same")
    add("--references", action="store_true", help="rows of histograms and of random weights too")
    add("--threads", type=int, default=0, help="of the CPU's arithmetic; 0 for PyTorch's choice")
    add("--num_workers", type=int, default=0, help="processes that load, for each run")
    add("--dry_run", action="store_true", help="read the configurations and say what it takes")
    return made


class Search:
    """A plan, its videos and its results."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.runs = read_plan(options.plan)
        if options.only:
            self.runs = choose(self.runs, options.only)
        splits = options.jhmdb_splits or find_splits(options.jhmdb)
        videos = jhmdb_videos(options.jhmdb, splits)
        self.paths = list(videos.paths[: videos.num_train])
        self.labels = videos.labels["action"][: videos.num_train]
        self.sources = read_sources(splits, self.paths)
        name = options.plan.stem
        self.folder = options.out / (f"{name}_seed{options.seed}" if options.seed else name)

    def roots(self) -> dict[str, list[Path]]:
        """Videos by what a plan calls them; generates what is not there, but for a dry run."""
        more = [path for folder in self.options.real for path in list_videos(folder)]
        real = sorted({path.resolve() for path in [*self.paths, *more]})
        made = default_cache_folder() / f"synthetic_0_{self.options.num_generated}"
        if any(run.videos != "real" for run in self.runs) and not self.options.dry_run:
            generate(made, self.options.num_generated, 0, progress=True)
        listed = self.folder / "real.txt"
        with atomic_path(listed) as temporary:
            temporary.write_text("".join(f"{path}\n" for path in real))
        return {"real": [listed], "generated": [made], "both": [made, listed]}

    def config(self, run: Run, roots: dict[str, list[Path]]) -> TrainConfig:
        """A run's configuration with the machine's settings."""
        settings = {
            "seed": self.options.seed,
            "threads": self.options.threads,
            "num_workers": self.options.num_workers,
            **run.settings,
        }
        return replace(run, settings=settings).config(self.folder, roots)

    def measure(self, run: Run, config: TrainConfig, seconds: float) -> Row:
        """What a run came to."""
        with (self.folder / run.name / "metrics.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        row: Row = {
            "name": run.name,
            "purpose": run.purpose,
            "samples": config.max_steps * config.batch_size,
            "minutes": seconds / 60,
        }
        last = rows[-LAST_ROWS:]
        for name in ("rsp_accuracy", "avid_top1", "rsp_spread", "avid_spread"):
            row[name] = sum(float(line[name]) for line in last) / len(last)
        found = [int(line["step"]) for line in rows if float(line["rsp_accuracy"]) >= LEARNED]
        if found:
            row["found_after"] = found[0] * config.batch_size
        file = self.folder / run.name / "model.safetensors"
        for name, paths in (("generated", self.held_out()), ("jhmdb", self.paths)):
            tasks = held_out_tasks(file, paths, self.options.num_held_out)
            row |= {f"{name} {task}": value for task, value in tasks.items()}
        return row | self.retrieval(run.name, model_features(load_model(file)))

    def held_out(self) -> list[Path]:
        """Generated videos that no run sees."""
        number = self.options.num_held_out
        folder = default_cache_folder() / f"synthetic_{HELD_OUT_SEED}_{number}"
        return list_videos(generate(folder, number, HELD_OUT_SEED))

    def retrieval(self, name: str, embed: Embed) -> Row:
        """How well training clips find their action in those of other sources, by feature."""
        shown = tqdm(self.paths, desc=f"{name}: retrieval", unit="video", leave=False)
        found = [embed(path) for path in shown]
        row: Row = {}
        for feature in found[0]:
            clips = np.stack([video[feature] for video in found])
            for k, value in without_own_source(clips, self.labels, self.sources).items():
                row[f"{feature} {k}"] = value
        return row

    def result(self, name: str) -> Row | None:
        """What was measured of a run, or of a reference, before."""
        path = self.folder / name / "result.json"
        return json.loads(path.read_text()) if path.is_file() else None

    def keep(self, name: str, row: Row) -> None:
        """Store what was measured."""
        path = self.folder / name / "result.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(row, indent=1) + "\n")

    def references(self, config: TrainConfig) -> None:
        """Measure what needs no learning, where it is not done yet."""
        if self.result(HISTOGRAMS) is None:
            drawn = partial(histograms, size=HISTOGRAM_SIZE)
            self.keep(HISTOGRAMS, self.retrieval(HISTOGRAMS, drawn))
        data, model = config.data, config.model
        name = f"{RANDOM}, {data.num_frames} x {data.size}"  # one row for each size
        if self.result(name) is None:
            torch.manual_seed(self.options.seed)
            branch = Branch(model.arch, model.options, num_frames=data.num_frames, size=data.size)
            embed = model_features(branch.eval())
            self.keep(name, {"name": name, "purpose": "-", **self.retrieval(name, embed)})

    def run(self) -> None:
        """Train and measure what is not done yet.

        Raises:
            ValueError: A configuration or the data is invalid.
            StoppedError: A signal stopped it; the run's state is saved.
        """
        roots = self.roots()
        configs = {run.name: self.config(run, roots) for run in self.runs}
        for run in self.runs:
            if self.result(run.name) is not None:
                continue
            clock = self.folder / run.name / "seconds.txt"
            before = float(clock.read_text()) if clock.is_file() else 0.0
            started = time.monotonic()
            try:
                train(configs[run.name])
            finally:
                seconds = before + time.monotonic() - started
                if clock.parent.is_dir():
                    clock.write_text(f"{seconds:.0f}\n")
            self.keep(run.name, self.measure(run, configs[run.name], seconds))
        if self.options.references:
            self.references(configs[self.runs[-1].name])

    def plan_table(self) -> str:
        """What every run would see."""
        roots = self.roots()
        cells, total = [], 0
        for run in self.runs:
            config = self.config(run, roots)
            samples = config.max_steps * config.batch_size
            pixels = f"{config.data.num_frames} x {config.data.size}"
            total += samples
            cells.append(
                [run.name, run.purpose, run.videos, run.after or "-", pixels, f"{samples:,}"]
            )
        cells.append(["all", "", "", "", "", f"{total:,}"])
        header = ["run", "purpose", "videos", "after", "frames x pixels", "samples"]
        return markdown(header, cells, num_text=5)

    def table(self) -> str:
        """What was found of the runs that are done."""
        drawn = sorted(path.name for path in self.folder.glob(f"{RANDOM}, *"))
        found = [self.result(name) for name in (*(run.name for run in self.runs), *drawn)]
        rows = [row for row in found if row is not None]
        names = {"max": "backbone, max", "avg": "backbone, avg", "rsp": "RSP", "avid": "A-VID"}
        header = ["run", "purpose", "samples", "minutes", "RSP order", f"{LEARNED:.0%} after"]
        header += ["generated", "JHMDB", "A-VID top-1", "generated"]
        header += [f"{title}, top-{'/'.join(map(str, KS))}" for title in names.values()]
        cells = []
        for row in rows:
            line = [str(row["name"]), str(row["purpose"])]
            if "samples" in row:
                line += [f"{row['samples']:,}", f"{float(row['minutes']):.0f}"]
                line += [f"{float(row['rsp_accuracy']):.2f}", thousands(row.get("found_after"))]
                line += [f"{float(row[name]):.1f}" for name in ("generated order", "jhmdb order")]
                line += [f"{float(row['avid_top1']):.2f}", f"{float(row['generated avid']):.1f}"]
            else:
                line += ["-"] * 8
            line += [tops(row, name) for name in names]
            cells.append(line)
        text = markdown(header, cells, num_text=2)
        reference = self.result(HISTOGRAMS)
        if reference is not None:
            header = ["histogram, Hellinger", f"top-{'/'.join(map(str, KS))}"]
            lines = [[name, tops(reference, name)] for name in HISTOGRAM_NAMES]
            text += "\n\n" + markdown(header, lines)
        return text


def model_features(model: Branch) -> Embed:
    """Features of a video's clips by a model, at the model's own length and size."""
    protocol = Protocol(num_clips=NUM_CLIPS, num_frames=model.num_frames, size=model.size)
    return lambda path: clip_features(model, path, protocol)


def thousands(number: float | str | None) -> str:
    """A number of samples, if there is one."""
    return "-" if number is None else f"{number:,}"


def tops(row: Row, feature: str) -> str:
    """A feature's numbers as they stand in the table."""
    return " / ".join(f"{float(row[f'{feature} top-{k}']):.1f}" for k in KS)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    cv2.setNumThreads(1)  # loader processes, made by forks, would wait for its threads for ever
    try:
        search = Search(options)
        if options.dry_run:
            print(search.plan_table())
            return 0
        search.run()
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, StoppedError):
        print("stopped; the same command resumes", file=sys.stderr)
        return EXIT_STOPPED
    text = search.table()
    with atomic_path(search.folder / "table.md") as temporary:
        temporary.write_text(text + "\n")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
