"""Runs a plan of pre-trainings on a few real videos, and says what each was good for.

    python -m benchmarks.pretraining PLAN.yaml --jhmdb DIR --real DIR ... --dry_run
    python -m benchmarks.pretraining PLAN.yaml --jhmdb DIR --real DIR ...

Real videos are the training clips of JHMDB under HMDB51's split 1 and all of ``--real``, folders or
.txt lists of paths; no test clip of JHMDB is seen or looked at, and one among ``--real`` is
refused. ``--min_frames`` leaves shorter ones out, so that methods that need long clips and others
see the same videos. The table gives, for each run, both tasks in its last steps, both again on
generated videos that none has seen and RSP's order on JHMDB's training clips (seen where a run has
real videos), always at 1x and 2x, and retrieval among JHMDB's training clips, each looking in clips
of other sources than its own: that is what a recipe is chosen by. ``--ucf101`` gives a second such
line, of UCF101's training clips under split 1, each looking in clips of other groups than its own;
they are trained on only where ``--real`` names them, and UCF101's test clips are refused there as
well. What the chosen models are worth is for ``small_scale.py`` to say.

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
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from tqdm import tqdm

from benchmarks.plan import Run, choose, read_plan
from benchmarks.small_scale.features import Embed, clip_features
from benchmarks.small_scale.histograms import NAMES as HISTOGRAM_NAMES
from benchmarks.small_scale.histograms import histograms
from benchmarks.small_scale.sets import OFFICIAL, find_lists, load_official
from benchmarks.small_scale.subjects import trained_heads
from benchmarks.small_scale.tables import markdown
from benchmarks.validation import (
    KS,
    held_out_tasks,
    read_groups,
    read_sources,
    without_own_source,
)
from rspnet.data.listing import expand_roots, list_videos
from rspnet.data.sources import scan_files
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
    add("--ucf101", type=Path, help="folder of UCF101's class folders: a second validation")
    add("--ucf101_lists", type=Path, help="its lists; nothing: found as in small_scale.py")
    add("--real", nargs="*", default=[], help="more folders of videos, or .txt lists of paths")
    add("--min_frames", type=int, default=1, help="a real video with fewer frames is excluded")
    add("--num_generated", type=int, default=1200, help="generated videos")
    add("--num_held_out", type=int, default=64, help="videos that both tasks are evaluated on")
    add("--only", nargs="+", metavar="NAME", help="these runs, and what they come after")
    add("--seed", type=int, default=0, help="of weights, clips and views; the videos stay the same")
    add("--references", action="store_true", help="rows of histograms and of random weights too")
    add("--threads", type=int, default=0, help="of the CPU's arithmetic; 0 for PyTorch's choice")
    add("--num_workers", type=int, default=0, help="processes that load, for each run")
    add("--dry_run", action="store_true", help="read the configurations and say what it takes")
    return made


@dataclass(frozen=True)
class Validation:
    """Training clips that look for each other, but not in their own source.

    Attributes:
        name: Of their order in a row.
        prefix: Of their retrieval in a row.
        paths: The clips.
        labels: A class each.
        sources: A source each.
    """

    name: str
    prefix: str
    paths: tuple[Path, ...]
    labels: tuple[str, ...]
    sources: Sequence[str]


class Search:
    """A plan, its videos and its results.

    Raises:
        ValueError: The plan, a list or a video is not there, or a test clip is among ``--real``.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.runs = read_plan(options.plan)
        if options.only:
            self.runs = choose(self.runs, options.only)
        self.validations: list[Validation] = []
        test: set[Path] = set()
        for name, official in OFFICIAL.items():
            folder, lists = (getattr(options, option) for option in (name, official.lists))
            if folder is None:
                continue
            videos = load_official(official, folder, lists).first
            num, labels = videos.num_train, videos.labels["action"]
            paths = videos.paths[:num]
            if name == "jhmdb":
                sources, prefix = read_sources(lists or find_lists(official, folder), paths), ""
            else:
                sources, prefix = read_groups(paths), f"{name} "
            self.validations.append(Validation(name, prefix, paths, labels[:num], sources))
            test |= {path.resolve() for path in (*videos.test_paths, *videos.copies)}
        more = [p.resolve() for p in expand_roots(options.real)] if options.real else []
        missing, wrong = [p for p in more if not p.is_file()], sorted(test.intersection(more))
        if missing:
            raise ValueError(f"{len(missing)} videos of --real are not there, such as {missing[0]}")
        if wrong:
            raise ValueError(
                f"{len(wrong)} videos of --real are test clips, such as {wrong[0]}: no run may see "
                "them, so name folders or lists without them"
            )
        real = sorted({*(path.resolve() for path in self.validations[0].paths), *more})
        if options.min_frames > 1:
            real = [source.path for source in scan_files(real, options.min_frames).usable]
        if not real:
            raise ValueError(f"no real video has {options.min_frames} frames: lower --min_frames")
        self.real = real
        name = options.plan.stem
        self.folder = options.out / (f"{name}_seed{options.seed}" if options.seed else name)

    def roots(self) -> dict[str, list[Path]]:
        """Videos by what a plan calls them; generates what is not there, but for a dry run."""
        made = default_cache_folder() / f"synthetic_0_{self.options.num_generated}"
        if any(run.videos != "real" for run in self.runs) and not self.options.dry_run:
            generate(made, self.options.num_generated, 0, progress=True)
        listed = self.folder / "real.txt"
        with atomic_path(listed) as temporary:
            temporary.write_text("".join(f"{path}\n" for path in self.real))
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
            if name in rows[0]:  # else the method has no such task
                row[name] = sum(float(line[name]) for line in last) / len(last)
        found = [int(n["step"]) for n in rows if float(n.get("rsp_accuracy", 0)) >= LEARNED]
        if found:
            row["found_after"] = found[0] * config.batch_size
        return row | self.tasks(run.name, "generated", self.held_out())

    def tasks(self, run: str, name: str, paths: Sequence[Path]) -> Row:
        """Both tasks of a run's model on some videos, as far as its heads were trained."""
        file = self.folder / run / "model.safetensors"
        heads = trained_heads(load_model(file).metadata)
        tasks = held_out_tasks(file, paths, self.options.num_held_out) if heads else {}
        kept = {"order": "rsp" in heads, "avid": "avid" in heads}
        return {f"{name} {task}": value for task, value in tasks.items() if kept[task]}

    def held_out(self) -> list[Path]:
        """Generated videos that no run sees."""
        number = self.options.num_held_out
        folder = default_cache_folder() / f"synthetic_{HELD_OUT_SEED}_{number}"
        return list_videos(generate(folder, number, HELD_OUT_SEED))

    def validate(self, name: str, row: Row, embed: Embed, is_run: bool = False) -> None:
        """Measure what a row lacks of the validations, and store it.

        Args:
            name: Of the run, or of the reference.
            row: What was measured of it before.
            embed: Gives the features of a video.
            is_run: Whether it is a run, whose tasks are measured on the same clips.
        """
        for own in self.validations:
            if any(f"{own.prefix}{feature} top-1" in row for feature in ("max", "colour")):
                continue
            shown = tqdm(own.paths, desc=f"{name}: {own.name}", unit="video", leave=False)
            found = [embed(path) for path in shown]
            if is_run:
                row |= self.tasks(name, own.name, own.paths)
            for feature in found[0]:
                clips = np.stack([video[feature] for video in found])
                for k, value in without_own_source(clips, own.labels, own.sources).items():
                    row[f"{own.prefix}{feature} {k}"] = value
            self.keep(name, row)

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
        drawn = partial(histograms, size=HISTOGRAM_SIZE)
        self.validate(HISTOGRAMS, self.result(HISTOGRAMS) or {}, drawn)
        data, model = config.data, config.model
        name = f"{RANDOM}, {data.num_frames} x {data.size}"  # one row for each size
        torch.manual_seed(self.options.seed)
        branch = Branch(model.arch, model.options, num_frames=data.num_frames, size=data.size)
        row = self.result(name) or {"name": name, "purpose": "-"}
        self.validate(name, row, model_features(branch.eval()))

    def run(self) -> None:
        """Train and measure what is not done yet.

        Raises:
            ValueError: A configuration or the data is invalid.
            StoppedError: A signal stopped it; the run's state is saved.
        """
        roots = self.roots()
        configs = {run.name: self.config(run, roots) for run in self.runs}
        for run in self.runs:
            row = self.result(run.name)
            if row is None:
                seconds = self.train(run, configs[run.name])
                row = self.measure(run, configs[run.name], seconds)
            model = load_model(self.folder / run.name / "model.safetensors")
            self.validate(run.name, row, model_features(model), is_run=True)
        if self.options.references:
            self.references(configs[self.runs[-1].name])

    def train(self, run: Run, config: TrainConfig) -> float:
        """Train. Returns the seconds that it took, with those before a stop."""
        clock = self.folder / run.name / "seconds.txt"
        seconds = float(clock.read_text()) if clock.is_file() else 0.0
        started = time.monotonic()
        try:
            train(config)
        finally:
            seconds += time.monotonic() - started
            if clock.parent.is_dir():
                clock.write_text(f"{seconds:.0f}\n")
        return seconds

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
        cells = [
            [str(row["name"]), str(row["purpose"]), thousands(row.get("samples")),
             number(row, "minutes", 0), number(row, "rsp_accuracy", 2),
             thousands(row.get("found_after")), number(row, "generated order"),
             number(row, "jhmdb order"), number(row, "avid_top1", 2), number(row, "generated avid"),
             *(tops(row, name) for name in names)]
            for row in rows
        ]  # fmt: skip
        parts = [markdown(header, cells, num_text=2)]
        for own in self.validations[1:]:
            header = [f"{own.name}, without its own group", "RSP order", *header[-len(names) :]]
            cells = [
                [str(row["name"]), number(row, f"{own.name} order"),
                 *(tops(row, f"{own.prefix}{name}") for name in names)]
                for row in rows
            ]  # fmt: skip
            parts.append(markdown(header, cells))
        reference = self.result(HISTOGRAMS)
        if reference is not None:
            header = ["histogram, Hellinger"]
            header += [f"{own.name}, top-{'/'.join(map(str, KS))}" for own in self.validations]
            lines = [
                [name, *(tops(reference, f"{own.prefix}{name}") for own in self.validations)]
                for name in HISTOGRAM_NAMES
            ]
            parts.append(markdown(header, lines))
        return "\n\n".join(parts)


def model_features(model: Branch) -> Embed:
    """Features of a video's clips by a model, at the model's own length and size."""
    protocol = Protocol(num_clips=NUM_CLIPS, num_frames=model.num_frames, size=model.size)
    return lambda path: clip_features(model, path, protocol)


def number(row: Row, name: str, digits: int = 1) -> str:
    """A number of a row, if it is there."""
    return f"{float(row[name]):.{digits}f}" if name in row else "-"


def thousands(value: float | str | None) -> str:
    """A number of samples, if there is one."""
    return "-" if value is None else f"{value:,}"


def tops(row: Row, feature: str) -> str:
    """A feature's numbers as they stand in the table, if they are there."""
    if f"{feature} top-1" not in row:
        return "-"
    return " / ".join(number(row, f"{feature} top-{k}") for k in KS)


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
