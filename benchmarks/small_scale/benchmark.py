"""The benchmark from its options to its tables."""

import argparse
import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from analysis.figures.style import check_out
from analysis.report.store import Store
from benchmarks.small_scale import tables
from benchmarks.small_scale.features import Vectors, clip_features, embed_all, grid_features
from benchmarks.small_scale.histograms import NAMES, fewer_fields, histograms
from benchmarks.small_scale.localisation import localisation_table, measure_localisation
from benchmarks.small_scale.measures import RIDGE, Row, chance, outcomes, whiten
from benchmarks.small_scale.sets import (
    OFFICIAL,
    LabelledSet,
    Videos,
    find_lists,
    generated_videos,
    load_official,
)
from benchmarks.small_scale.subjects import (
    NUM_TRIPLETS,
    SPEEDS,
    Subject,
    choose_subjects,
    machine,
    measure_pretext,
)
from benchmarks.small_scale.unseen import (
    flow_estimates,
    measure_flow,
    measure_selectivity,
    read_unseen,
    unseen_table,
)
from rspnet.data.labelled_clips import ActionsConfig
from rspnet.data.synthetic.videos import VERSION
from rspnet.finetune import FinetuneConfig, finetune, table
from rspnet.names import HEADS
from rspnet.recognition.result import ActionResult
from rspnet.retrieval.store import Protocol

FEATURES = {"max": "backbone, max", "avg": "backbone, avg", "rsp": "RSP", "avid": "A-VID"}
# Results of a task whose head was not trained.
OWN_TASKS = {"rsp": ("rsp_accuracy", "rsp_interval"), "avid": ("avid_top1", "avid_interval")}
UNLEARNED = {"colour": "colour histogram", "flow": "flow histogram", "hog": "HOG histogram"}
DECAY = 1e-2


class Benchmark:
    """One run: its options, and what was found.

    Raises:
        ValueError: An option can't be met; all are checked before anything is measured.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        check_numbers(options)
        if options.figure is not None:
            check_out(options.figure)
        self.options = options
        self.out = Path(options.out)
        self.device = options.device
        if self.device == "auto":
            self.device = "cuda" if torch.cuda.is_available() else "cpu"
        subjects, self.controls = choose_subjects(options)
        self.groups: dict[str, list[Subject]] = {}
        for subject in subjects:
            self.groups.setdefault(subject.name, []).append(subject)
        if options.grids:
            self._check_grids()
        self.notes: list[str] = []
        self.sets: list[LabelledSet] = []
        for option, official in OFFICIAL.items():
            folder, lists = (getattr(options, name) for name in (option, official.lists))
            if folder is None:
                skipped = f"{official.title} was skipped: name its folder with --{option} DIR."
                self.notes.append(skipped)
                continue
            folds = getattr(options, f"{option}_folds")
            self.sets.append(load_official(official, folder, lists, folds))
            self.notes += self.sets[-1].notes
        self.unseen_paths = read_unseen(options.unseen)
        self.rows: dict[str, list[Row]] = {}
        self.chance: dict[str, dict[str, float]] = {}
        self.pretext: dict[str, dict[str, list[dict[str, Any]]]] = {}
        self.localisation: dict[str, list[dict[str, Any]]] = {}
        self.unseen: dict[str, dict[str, dict[str, Any]]] = {}
        self.finetuned: dict[str, ActionResult] = {}

    def _check_grids(self) -> None:
        for group in self.groups.values():
            branch = group[0].branch("query", self.device)
            shape = (1, 3, branch.num_frames, branch.size, branch.size)
            with torch.inference_mode():
                F = branch.features(torch.zeros(shape, device=self.device))
            grid_features(F, self.options.grids)

    def plan(self) -> str:
        """What would be measured, of what; nothing is computed."""
        o = self.options
        models = [
            [name, s.spec["arch"], f"{s.spec['num_frames']} x {s.spec['size']}", str(len(group)),
             ", ".join(s.heads) if s.model else "random weights"]
            for name, group in self.groups.items() for s in group[:1]
        ]  # fmt: skip
        header = ["model", "encoder", "frames x pixels", "seeds", "heads that were trained"]
        lines = ["### Models", tables.markdown(header, models, num_text=5)]
        videos = [
            [title, str(v.num_train), str(len(v.test_paths)), str(len(set(v.labels[kind])))]
            for found in self.sets
            for title, (v, kind) in found.tables.items()
        ]
        if o.num_generated:
            half = o.num_generated // 2
            videos.append(["generated", str(o.num_generated - half), str(half), "-"])
        header = ["table", "training videos", "test videos", "labels"]
        lines += ["### Labelled videos", tables.markdown(header, videos)]
        if self.unseen_paths:
            unseen = [[name, str(len(paths))] for name, paths in self.unseen_paths.items()]
            lines += ["### Unseen sets", tables.markdown(["set", "videos"], unseen)]
        parts = {
            f"retrieval, k-NN and linear probe, {o.num_clips} clips a video": videos,
            "moments over time": o.moments,
            "whitened features": o.whiten,
            f"own tasks on {o.num_pretext} test videos": o.num_pretext,
            f"maps and motion selectivity on {o.num_maps} videos": o.num_maps,
            f"fine-tuning on JHMDB, {o.finetune_epochs:g} epochs": o.finetune,
        }
        wanted = "; ".join(part for part, on in parts.items() if on)
        return "\n\n".join([*lines, f"To measure: {wanted}.", *self.notes])

    def embed(self, found: LabelledSet, subject: Subject) -> dict[str, Vectors]:
        """Features of all videos of a set by a model."""
        branch = subject.branch("query", self.device)
        protocol = Protocol(
            num_clips=self.options.num_clips, num_frames=branch.num_frames, size=branch.size
        )
        about = {
            "identity": subject.identity,
            # Both poolings are kept.
            "protocol": {k: v for k, v in asdict(protocol).items() if k != "pooling"},
            "grids": self.options.grids,
            "moments": self.options.moments,
        }
        embed = partial(
            clip_features,
            branch,
            protocol=protocol,
            grids=self.options.grids,
            with_moments=self.options.moments,
        )
        title = f"{found.name}: {subject.name}, seed {subject.seed}"
        return embed_all(self.out / "features", about, found.paths, embed, title)

    def store(self, identity: str) -> Store:
        """What was measured of a model before."""
        return Store(self.out / "parts", identity)

    def outcomes_of(
        self, videos: Videos, kind: str, identity: str, name: str, clips: Vectors
    ) -> Iterator[tuple[str, Any]]:
        """What each test video got, as it is and whitened, from before if it was measured."""
        o = self.options
        for whitened in (False, True) if o.whiten else (False,):
            settings = {
                "videos": videos.identity(),
                "kind": kind,
                "feature": name,
                "num_clips": clips.shape[1],
                "neighbours": o.neighbours,
                "decay": DECAY,
            } | ({"ridge": RIDGE} if whitened else {})

            def make(whitened: bool = whitened) -> dict[str, list[int]]:
                own = whiten(clips, videos.num_train) if whitened else clips
                return outcomes(own, videos, kind, o.neighbours, DECAY)

            yield (
                "whitened" if whitened else "",
                self.store(identity).part("labels", settings, make),
            )

    def by_labels(self, found: LabelledSet) -> None:
        """Rows of one set of videos, for each of its tables."""
        place = {path: i for i, path in enumerate(found.paths)}
        runs: dict[tuple[str, str, str], list[Any]] = {}

        def add(name: str, key: str, title: str, identity: str, clips: Vectors) -> None:
            for table_title, (videos, kind) in found.tables.items():
                own = clips[[place[path] for path in videos.paths]]
                for way, run in self.outcomes_of(videos, kind, identity, key, own):
                    feature = ", ".join(filter(None, (title, way)))
                    runs.setdefault((table_title, name, feature), []).append(run)

        for name, group in self.groups.items():
            for subject in group:
                for key, clips in self.embed(found, subject).items():
                    if key not in HEADS or key in subject.heads:
                        add(
                            name,
                            key,
                            FEATURES.get(key, f"backbone, {key}"),
                            subject.identity,
                            clips,
                        )
        size = self.options.histogram_size
        identity = f"histograms, version 1, {size} pixels"
        features = embed_all(
            self.out / "features",
            {"identity": identity},
            found.paths,
            partial(histograms, size=size),
            f"{found.name}: histograms",
        )
        for key in NAMES:
            # Their squares are the shares themselves, and which of both ranks better differs.
            ways = {"Hellinger": features[key], "cosine": features[key] ** 2}
            if key == "flow":
                fewer = fewer_fields(features[key])
                ways |= {f"cosine, {what}": rows for what, rows in fewer.items()}
            for way, values in ways.items():
                add(UNLEARNED[key], f"{key}, {way}", way, identity, values)
        for (title, name, feature), own in runs.items():
            self.rows.setdefault(title, []).append(Row.of(name, feature, own))
        self.chance |= {t: chance(videos, kind) for t, (videos, kind) in found.tables.items()}
        if found.mean is not None:
            folds = zip(*(self.rows[title] for title in found.tables), strict=True)
            self.rows[found.mean] = [Row.mean_of(rows) for rows in folds]
            chances = [self.chance[title] for title in found.tables]
            self.chance[found.mean] = {
                k: float(np.mean([own[k] for own in chances])) for k in chances[0]
            }

    def of_models(
        self, measure: Callable[[Subject], Any], needs: Collection[str] = HEADS
    ) -> dict[str, list[Any]]:
        """What is measured of every model with these heads trained, by name, a value a seed."""
        return {
            name: [measure(subject) for subject in group]
            for name, group in self.groups.items()
            if set(needs) <= set(group[0].heads)
        }

    def own_tasks(self, videos: str, paths: tuple[Path, ...]) -> dict[str, list[dict[str, Any]]]:
        """RSP and A-VID of each model that was trained for one of them.

        Args:
            videos: What the videos are known by.
            paths: The videos.
        """
        num = self.options.num_pretext
        settings = {
            "videos": videos,
            "num_videos": num,
            "speeds": SPEEDS,
            "num_triplets": NUM_TRIPLETS,
        }

        def measure(subject: Subject) -> Any:
            make = partial(measure_pretext, subject, paths, num, self.device)
            found = self.store(subject.identity).part("pretext", settings, make)
            untrained = [
                n for head, own in OWN_TASKS.items() if head not in subject.heads for n in own
            ]
            return found | dict.fromkeys(untrained)

        return {
            name: [measure(subject) for subject in group]
            for name, group in self.groups.items()
            if group[0].heads
        }

    def measure_unseen(self, name: str, paths: tuple[Path, ...]) -> None:
        """All that is measured on one set without labels."""
        o = self.options
        identity = Videos(paths=paths, labels={}, num_train=0).identity()
        found: dict[str, dict[str, Any]] = {}
        if o.num_pretext:
            for model, tasks in self.own_tasks(identity, paths).items():
                found.setdefault(model, {})["tasks"] = tasks
        settings = {"videos": identity, "num_videos": o.num_maps}
        for part, measure in (("flow", measure_flow), ("selectivity", measure_selectivity)):
            if not o.num_maps:
                continue

            def make(subject: Subject, part: str = part, measure: Any = measure) -> Any:
                own = partial(measure, subject, paths, o.num_maps, self.device)
                return self.store(subject.identity).part(f"unseen_{part}", settings, own)

            try:
                measured = self.of_models(make)
            except ValueError as error:
                self.notes.append(f"{name}: {part} was not measured: {error}")
                continue
            for model, runs in measured.items():
                found.setdefault(model, {})[part] = runs
        self.unseen[name] = found

    def finetune(self) -> None:
        """The whole network trained on JHMDB's labels, from each model and seed."""
        o, official = self.options, OFFICIAL["jhmdb"]
        videos = next(found.first for found in self.sets if found.name == official.title)
        splits = o.jhmdb_splits or find_lists(official, Path(o.jhmdb))
        settings = {"videos": videos.identity(), "epochs": o.finetune_epochs}

        def train(subject: Subject) -> ActionResult:
            spec = subject.spec
            text = f"{subject.identity} {json.dumps(settings)}"
            key = hashlib.sha256(text.encode()).hexdigest()[:16]
            data = ActionsConfig(
                name="csv",
                root=o.jhmdb,
                annotations=str(splits),
                fold=o.jhmdb_folds[0],
                num_frames=spec["num_frames"],
                size=spec["size"],
            )
            config = FinetuneConfig(
                out=str(self.out / "finetune" / key),
                model=subject.model or "random",
                arch=None if subject.model else spec["arch"],
                options={} if subject.model else spec["encoder_options"],
                seed=subject.seed,
                epochs=o.finetune_epochs,
                data=data,
                device=self.device,
                num_workers=o.num_workers,
                threads=torch.get_num_threads(),
            )
            store = self.store(subject.identity)
            values = store.part("finetune", settings, lambda: dict(finetune(config).__dict__))
            return ActionResult(**values)

        for name, group in self.groups.items():
            if group[0].supervised:
                continue
            results = [train(subject) for subject in group]
            for number, result in enumerate(results, start=1):
                own = name if len(results) == 1 else f"{name}, {number} of {len(results)}"
                self.finetuned[own] = result

    def run(self) -> None:
        """Measure what was not measured before.

        Raises:
            ValueError: Videos can't be read.
        """
        o = self.options
        sets = list(self.sets)
        if o.num_generated:
            folder = self.out / f"synthetic_{VERSION}_{o.generated_seed}"
            sets.append(generated_videos(folder, o.num_generated, o.generated_seed))
        else:
            self.notes.append("Generated videos were skipped: --num_generated was 0.")
        for found in sets:
            self.by_labels(found)
        for found in sets:
            if o.num_pretext:
                videos = found.first
                self.pretext[found.name] = self.own_tasks(videos.identity(), videos.test_paths)
        if o.num_maps:
            num, folder = o.num_maps, self.out / "parts"
            self.localisation = self.of_models(
                lambda subject: measure_localisation(subject, num, folder, self.device)
            )
        for name, paths in self.unseen_paths.items():
            self.measure_unseen(name, paths)
        if o.finetune:
            self.finetune()

    def markdown(self) -> str:
        """All tables."""
        o, lines = self.options, []
        for title, rows in self.rows.items():
            controls = {
                (model, row.feature): row
                for model, name in self.controls.items()
                for row in rows
                if row.name == name
            }
            num = " + ".join(str(len(values)) for values in rows[0].per_video("top-1"))
            mean = ", mean over splits" if len(rows[0].folds) > 1 else ""
            lines += [
                f"### {title}{mean}: {num} test videos, {o.num_clips} clips each; %",
                tables.label_table(rows, self.chance[title], controls),
            ]
        with_heads = list(self.of_models(lambda subject: None))
        heads = tables.heads_table(self.rows, with_heads)
        if heads:
            lines += ["### Which head finds what, in points", heads]
        if self.pretext:
            lines += ["### The two own tasks on test videos; %", tables.pretext_table(self.pretext)]
        if self.localisation:
            about = f"{o.num_maps} generated videos; margin to faster, share over area"
            lines += [f"### What the heads look at: {about}", localisation_table(self.localisation)]
        if self.unseen:
            about = "in %; then rho of the margin to faster, and motion selectivity"
            lines += [f"### Real videos never seen: own tasks {about}", unseen_table(self.unseen)]
        if self.finetuned:
            epochs = f"### Fine-tuned on JHMDB, {o.finetune_epochs:g} epochs"
            lines += [epochs, table(self.finetuned)]
        lines += [
            "### Published, by the same protocol on other videos: not to be compared in number",
            tables.published_table(),
            *self.notes,
        ]
        return "\n\n".join(lines) + "\n"

    def to_json(self) -> dict[str, Any]:
        """Numbers with all they depend on, as plain values."""
        return {
            "format": "rspnet-small-scale",
            "version": 1,
            "options": vars(self.options),
            "protocol": {
                "retrieval": "cosine of the clips' mean; correct at k if any of k has the label",
                "k-NN": f"{self.options.neighbours} neighbours vote exp(cosine / 0.07)",
                "linear": f"logistic regression on standardised clips, decay {DECAY}, mean logits",
                "interval": "95%, bootstrap over test videos in each fold, 2000 resamples",
                "whitened": f"by training videos' covariance + {RIDGE:g} of its mean variance",
            },
            "machine": machine(self.device),
            "subjects": [asdict(s) for group in self.groups.values() for s in group],
            "chance": self.chance,
            "rows": {title: [row.to_json() for row in rows] for title, rows in self.rows.items()},
            "pretext": self.pretext,
            "localisation": self.localisation,
            "unseen": {
                name: {
                    model: parts | {"rho": {h: e.to_json() for h, e in _rho(parts).items()}}
                    for model, parts in models.items()
                }
                for name, models in self.unseen.items()
            },
            "finetuned": {name: result.__dict__ for name, result in self.finetuned.items()},
            "notes": self.notes,
        }


def _rho(parts: Mapping[str, Any]) -> dict[str, Any]:
    return flow_estimates(parts["flow"]) if "flow" in parts else {}


def check_numbers(options: argparse.Namespace) -> None:
    """Refuse numbers that no part of the benchmark can be measured with.

    Raises:
        ValueError: One is too small, or fine-tuning has no labels.
    """
    if options.num_maps < 0 or options.num_maps == 1:
        raise ValueError(
            "num_maps is at least 2, as A-VID needs other videos, or 0 for no table of maps, "
            f"got {options.num_maps}"
        )
    if options.num_generated < 0 or options.num_generated == 1:
        raise ValueError(
            "num_generated is at least 2, one to look for the other, or 0 to skip them, got "
            f"{options.num_generated}"
        )
    least = {"num_clips": 1, "neighbours": 1, "histogram_size": 16, "num_pretext": 0, "seeds": 0}
    for name, number in least.items():
        if getattr(options, name) < number:
            raise ValueError(f"{name} is at least {number}, got {getattr(options, name)}")
    if options.finetune and options.jhmdb is None:
        raise ValueError("--finetune trains on JHMDB's labels: name its folder with --jhmdb DIR")
