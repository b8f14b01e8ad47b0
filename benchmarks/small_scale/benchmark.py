"""The benchmark from its options to its tables."""

import argparse
import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch

from analysis.figures.style import check_out
from analysis.report.store import Store
from benchmarks.small_scale import tables
from benchmarks.small_scale.features import (
    Vectors,
    Videos,
    clip_features,
    embed_all,
    find_splits,
    generated_videos,
    jhmdb_videos,
)
from benchmarks.small_scale.histograms import NAMES, fewer_fields, histograms
from benchmarks.small_scale.localisation import localisation_table, measure_localisation
from benchmarks.small_scale.measures import Row, chance, outcomes
from benchmarks.small_scale.subjects import (
    NUM_TRIPLETS,
    SPEEDS,
    Subject,
    default_spec,
    machine,
    measure_pretext,
    named_models,
    random_subjects,
)
from rspnet.data.labelled_clips import ActionsConfig
from rspnet.data.synthetic.videos import VERSION
from rspnet.finetune import FinetuneConfig, finetune, table
from rspnet.names import HEADS
from rspnet.recognition.result import ActionResult
from rspnet.retrieval.store import Protocol

FEATURES = {"max": "backbone, max", "avg": "backbone, avg", "rsp": "RSP", "avid": "A-VID"}
UNLEARNED = {"colour": "colour histogram", "flow": "flow histogram", "hog": "HOG histogram"}
DECAY = 1e-2


def choose_subjects(options: argparse.Namespace) -> tuple[list[Subject], dict[str, str]]:
    """Models and random weights, and the name of the random weights of each model.

    Raises:
        ValueError: No such model or encoder, or one name has models of two architectures.
    """
    models = named_models(options.models)
    specs: dict[str, dict[str, Any]] = {}
    for model in models:
        if specs.setdefault(model.name, model.spec) != model.spec:
            raise ValueError(
                f"models of one name are seeds of one recipe, but those named {model.name!r} "
                "differ in their architecture: give them names with NAME=FILE"
            )
    controls: dict[str, str] = {}
    distinct: dict[str, dict[str, Any]] = {}  # by the name of the first model that has it
    for name, spec in specs.items():
        controls[name] = next((own for own, known in distinct.items() if known == spec), name)
        distinct.setdefault(controls[name], spec)
    words = {own: f"random weights, as {own}" for own in distinct}
    if len(distinct) == 1:
        words = dict.fromkeys(distinct, "random weights")
    controls = {name: words[own] for name, own in controls.items()}
    subjects = list(models)
    for own, spec in distinct.items():
        subjects += random_subjects(words[own], spec, options.seeds)
    for arch in options.random_archs:
        name = f"random weights, {arch}"
        subjects += random_subjects(name, default_spec(arch), options.seeds)
    return subjects, controls


class Benchmark:
    """One run: its options, and what was found.

    Raises:
        ValueError: An option can't be met; what takes long to find out is not checked yet.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        if options.num_maps < 0 or options.num_maps == 1:
            raise ValueError(
                "num_maps is at least 2, as A-VID needs other videos, or 0 for no table of maps, "
                f"got {options.num_maps}"
            )
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
        self.rows: dict[str, list[Row]] = {}
        self.chance: dict[str, dict[str, float]] = {}
        self.pretext: dict[str, dict[str, list[dict[str, Any]]]] = {}
        self.localisation: dict[str, list[dict[str, Any]]] = {}
        self.finetuned: dict[str, ActionResult] = {}
        self.notes: list[str] = []

    def embed(self, videos: Videos, subject: Subject) -> dict[str, Vectors]:
        """Features of all videos by a model."""
        branch = subject.branch("query", self.device)
        protocol = Protocol(
            num_clips=self.options.num_clips, num_frames=branch.num_frames, size=branch.size
        )
        about = {
            "identity": subject.identity,
            "videos": videos.identity(),
            # Both poolings are kept.
            "protocol": {k: v for k, v in asdict(protocol).items() if k != "pooling"},
        }
        if self.options.grids:
            about["grids"] = self.options.grids
        embed = partial(clip_features, branch, protocol=protocol, grids=self.options.grids)
        title = f"{videos.name}: {subject.name}, seed {subject.seed}"
        return embed_all(self.out / "features", about, videos.paths, embed, title)

    def store(self, identity: str) -> Store:
        """What was measured of a model before."""
        return Store(self.out / "parts", identity)

    def outcomes_of(
        self, videos: Videos, kind: str, identity: str, name: str, clips: Vectors
    ) -> Any:
        """What each test video got, from before if it was measured."""
        o = self.options
        settings = {
            "videos": videos.identity(),
            "kind": kind,
            "feature": name,
            "num_clips": clips.shape[1],
            "neighbours": o.neighbours,
            "decay": DECAY,
        }
        return self.store(identity).part(
            "labels", settings, lambda: outcomes(clips, videos, kind, o.neighbours, DECAY)
        )

    def by_labels(self, videos: Videos, titles: dict[str, str]) -> None:
        """Rows of one set of videos, for each kind of label."""
        found: dict[str, list[Row]] = {kind: [] for kind in titles}
        for name, group in self.groups.items():
            runs: dict[tuple[str, str], list[Any]] = {}
            for subject in group:
                features = self.embed(videos, subject)
                keys = [key for key in features if subject.has_heads or key not in HEADS]
                for kind in titles:
                    for key in keys:
                        run = self.outcomes_of(videos, kind, subject.identity, key, features[key])
                        runs.setdefault((kind, key), []).append(run)
            for (kind, key), own in runs.items():
                title = FEATURES.get(key, f"backbone, {key}")
                found[kind].append(Row.of(name, title, own))
        size = self.options.histogram_size
        identity = f"histograms, version 1, {size} pixels"
        features = embed_all(
            self.out / "features",
            {"identity": identity, "videos": videos.identity()},
            videos.paths,
            partial(histograms, size=size),
            f"{videos.name}: histograms",
        )
        for kind, title in titles.items():
            for key in NAMES:
                # Their squares are the shares themselves, and which of both ranks better differs.
                ways = {"Hellinger": features[key], "cosine": features[key] ** 2}
                if key == "flow":
                    fewer = fewer_fields(features[key])
                    ways |= {f"cosine, {what}": rows for what, rows in fewer.items()}
                for way, values in ways.items():
                    run = self.outcomes_of(videos, kind, identity, f"{key}, {way}", values)
                    found[kind].append(Row.of(UNLEARNED[key], way, [run]))
            self.rows[title] = found[kind]
            self.chance[title] = chance(videos, kind)

    def of_models(self, measure: Callable[[Subject], Any]) -> dict[str, list[Any]]:
        """What is measured of every model with trained heads, by name, a value a seed."""
        return {
            name: [measure(subject) for subject in group]
            for name, group in self.groups.items()
            if group[0].has_heads
        }

    def own_tasks(self, title: str, videos: Videos) -> None:
        """RSP and A-VID on the test videos."""
        num = self.options.num_pretext
        settings = {
            "videos": videos.identity(),
            "num_videos": num,
            "speeds": SPEEDS,
            "num_triplets": NUM_TRIPLETS,
        }

        def measure(subject: Subject) -> Any:
            make = partial(measure_pretext, subject, videos.test_paths, num, self.device)
            return self.store(subject.identity).part("pretext", settings, make)

        self.pretext[title] = self.of_models(measure)

    def finetune(self, videos: Videos, folder: str, splits: Path) -> None:
        """The whole network trained on JHMDB's labels, from each model and seed."""
        o = self.options
        settings = {"videos": videos.identity(), "epochs": o.finetune_epochs}

        def train(subject: Subject) -> ActionResult:
            spec = subject.spec
            text = f"{subject.identity} {json.dumps(settings)}"
            key = hashlib.sha256(text.encode()).hexdigest()[:16]
            data = ActionsConfig(
                name="csv",
                root=folder,
                annotations=str(splits),
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

        for name, results in self.of_models(train).items():
            for number, result in enumerate(results, start=1):
                own = name if len(results) == 1 else f"{name}, {number} of {len(results)}"
                self.finetuned[own] = result

    def run(self) -> None:
        """Measure what was not measured before.

        Raises:
            ValueError: Videos are missing or can't be read.
        """
        o = self.options
        real, splits = None, None
        if o.jhmdb is None:
            self.notes.append("JHMDB was skipped: name its folder with --jhmdb DIR.")
        else:
            splits = Path(o.jhmdb_splits) if o.jhmdb_splits else find_splits(Path(o.jhmdb))
            real = jhmdb_videos(Path(o.jhmdb), splits)
            self.by_labels(real, {"action": "JHMDB"})
        made = None
        if o.num_generated:
            folder = self.out / f"synthetic_{VERSION}_{o.generated_seed}"
            made = generated_videos(folder, o.num_generated, o.generated_seed)
            kinds = ("action", "actor", "set")
            self.by_labels(made, {kind: f"generated, by {kind}" for kind in kinds})
        else:
            self.notes.append("Generated videos were skipped: --num_generated was 0.")
        for title, videos in (("JHMDB", real), ("generated", made)):
            if o.num_pretext and videos is not None:
                self.own_tasks(title, videos)
        if o.num_maps:
            num, folder = o.num_maps, self.out / "parts"
            self.localisation = self.of_models(
                lambda subject: measure_localisation(subject, num, folder, self.device)
            )
        if o.finetune and real is not None and splits is not None:
            self.finetune(real, o.jhmdb, splits)

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
            num = len(rows[0].per_video("top-1"))
            lines += [
                f"### {title}: {num} test videos, {o.num_clips} clips each; %",
                tables.label_table(rows, self.chance[title], controls),
            ]
        with_heads = [name for name, group in self.groups.items() if group[0].has_heads]
        heads = tables.heads_table(self.rows, with_heads)
        if heads:
            lines += ["### Which head finds what, in points", heads]
        if self.pretext:
            lines += ["### The two own tasks on test videos; %", tables.pretext_table(self.pretext)]
        if self.localisation:
            about = f"{o.num_maps} generated videos; margin to faster, share over area"
            lines += [f"### What the heads look at: {about}", localisation_table(self.localisation)]
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
                "interval": "95%, bootstrap over test videos, 2000 resamples",
            },
            "machine": machine(self.device),
            "subjects": [asdict(s) for group in self.groups.values() for s in group],
            "chance": self.chance,
            "rows": {title: [row.to_json() for row in rows] for title, rows in self.rows.items()},
            "pretext": self.pretext,
            "localisation": self.localisation,
            "finetuned": {name: result.__dict__ for name, result in self.finetuned.items()},
            "notes": self.notes,
        }
