"""How much of a similarity is movement? ``python -m analysis ledger --out FILE.json``.

The cosine of two clips is taken apart into what stands still and what moves
(:mod:`analysis.core.ledger`), for c_i with a clip of the same video, and for c_i with a clip of
another video, where no scene is shared. Random weights are the control: what they show comes of
the clips and the architecture.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from analysis.core.clip import static_clip
from analysis.core.figure_spec import DotFigure, DotPanel, FigureSpec
from analysis.core.ledger import PARTS, ledger_of
from analysis.core.score import ClipFeatures, extract_features
from analysis.core.table import (
    RSP_MINUS_AVID,
    Key,
    Row,
    StudyTable,
    Table,
    head_columns,
    head_dots,
    heads_of,
    interval,
    pivot,
)
from analysis.stimuli.triplets import Views
from analysis.studies.measures.controlled import (
    ControlledConfig,
    against_random,
    all_rows,
    beside_random,
    by_head,
    head_rows,
    key_number,
    with_untrained,
)
from analysis.studies.registry import (
    KeyNumber,
    Study,
    StudyInputs,
    VideoStudyConfig,
    register_study,
    verdict,
)
from rspnet.models import Branch
from rspnet.names import HEADS

Floats = NDArray[np.float64]
OTHER_CLIP = {"same": "a clip of the same video", "another": "a clip of another video"}
BOTH_MOVE = "part of s from movement in both clips"
MOVEMENT, SHARE = "movement", "share of s that takes movement, by size"
# What is measured of each pair of clips, with its title.
MEASURED = {
    "similarity": "all of s",
    MOVEMENT: "share of movement, by size",
    **{name: name.replace("_", "-") for name in PARTS},
}


@dataclass(frozen=True, kw_only=True)
class LedgerConfig(ControlledConfig, VideoStudyConfig):
    """Take similarities apart into what stands still and what moves.

    Attributes:
        seed: Of synthetic videos and of clips.
    """


def encode(query: Branch, key: Branch, views: Views) -> tuple[ClipFeatures, ...]:
    """c_i, its static clip, c_j and its static clip after one forward pass each."""
    i, j, _ = views
    return (
        extract_features(query, i),
        extract_features(query, static_clip(i)),
        extract_features(key, j),
        extract_features(key, static_clip(j)),
    )


def measure_parts(
    encoded: Sequence[tuple[ClipFeatures, ...]], heads: Sequence[str] = HEADS
) -> Floats:
    """:data:`MEASURED` of each video, by head and by the other clip, (H, O, V, 6).

    The share of movement is the sum of the sizes of the three parts that move over the sum of the
    sizes of all four: the parts have signs, and their sum may be near 0.
    """
    found = np.zeros((len(heads), len(OTHER_CLIP), len(encoded), len(MEASURED)))
    for v, (c_i, static_i, _, _) in enumerate(encoded):
        partners = (v, (v + 1) % len(encoded))
        for (h, head), (o, partner) in product(enumerate(heads), enumerate(partners)):
            ledger = ledger_of(head, c_i, static_i, *encoded[partner][2:])
            parts = list(ledger.parts.values())
            sizes = np.abs(parts)
            share = sizes[1:].sum() / (sizes.sum() or 1)  # of a cosine without any part: 0
            found[h, o, v] = [ledger.similarity, share, *parts]
    return found


def summarise(
    found: Floats,
    weights: str,
    heads: Sequence[str] = HEADS,
    random: Floats | None = None,
) -> list[Row]:
    """Estimates over videos of all heads and their difference (:func:`head_rows`), a row a part."""
    rows = []
    for (o, other), (column, part) in product(enumerate(OTHER_CLIP), enumerate(MEASURED)):
        keys: dict[str, Key] = {"weights": weights, "other": other, "part": part}
        control = None if random is None else {"value": tuple(random[:, o, :, column])}
        rows += head_rows(keys, {"value": tuple(found[:, o, :, column])}, heads, control)
    return rows


@register_study
class Ledger(Study[LedgerConfig]):
    """Measure how much of both heads' similarities is of what moves."""

    name = "ledger"
    title = "Static and motion"
    question = "How much of a similarity is movement?"
    reading = (
        "With a clip stopped at its middle frame, the cosine is the sum of four parts, exactly: "
        "the first word is of c_i, the second of the other clip. The share of movement is the "
        "size of the three parts that move over the size of all four."
    )
    needs = "each"
    config = LedgerConfig
    any_encoder = True
    place = 45

    @torch.no_grad()
    def measure(self, inputs: StudyInputs, config: LedgerConfig) -> StudyTable:
        """Measure a model and random weights.

        Raises:
            ValueError: There are fewer than two videos.
        """
        clips = inputs.triplets(config.num_videos, config.seed)
        total = (1 + config.num_random) * len(clips.views)
        with tqdm(total=total, desc=self.title, unit="video", disable=not inputs.progress) as bar:

            def measure(query: Branch, key: Branch) -> Floats:
                encoded = []
                for views in clips.views:
                    encoded.append(encode(query, key, views))
                    bar.update()
                return measure_parts(encoded, query.heads)

            found = with_untrained(inputs.query, inputs.key, config.num_random, measure)
        return StudyTable(
            study=self.name,
            rows=all_rows(found, summarise, inputs.query.heads),
            num_videos=len(clips.views),
            videos=clips.what,
            skipped=clips.skipped,
            model_hash=inputs.query.hash,
            seed=config.seed,
            settings={"num_random": config.num_random},
        )

    def finding(self, table: StudyTable) -> str:
        """The motion-motion part of either head, and the share of movement."""
        if len(heads_of(table)) == 1:
            values = against_random(table, "value", other="same", part=MOVEMENT)
            says = "Whether it looks at motion these videos do not decide"
            if values[0].low > 0.5:
                says = "It looks at motion more than at what stands still"
            elif values[0].high < 0.5:
                says = "It looks at what stands still more than at motion"
            return (
                f"{says}: by size, the share of the parts that move in the similarity within a "
                f"video is {beside_random(values)}."
            )
        part, share = (
            by_head(table, "value", weights="trained", other="same", part=name)
            for name in ("motion_motion", MOVEMENT)
        )
        says = verdict(part[RSP_MINUS_AVID], "more than", "less than")
        if says.startswith("no "):
            says = f"{says} from"
        return (
            f"The motion-motion part of RSP's similarity within a video is {interval(part['rsp'])},"
            f" {says} A-VID's {interval(part['avid'])} (difference "
            f"{interval(part[RSP_MINUS_AVID])}). By size, the parts that move make up "
            f"{interval(share['rsp'])} of RSP's and {interval(share['avid'])} of A-VID's."
        )

    def tables(self, table: StudyTable) -> list[Table]:
        """Both heads' parts, for a clip of the same and of another video; controls folded."""
        return [
            pivot(
                {
                    title: {"weights": weights, "other": other, "part": part}
                    for part, title in MEASURED.items()
                },
                head_columns("value", heads=heads_of(table)),
                table,
                first="part of s",
                caption=(
                    f"{weights}: the cosine of c_i and {words}, mean over {table.num_videos} "
                    f"{table.videos}, 95% interval over videos"
                ),
                strong=lambda title: title == MEASURED[MOVEMENT],
                folded=weights != "trained",
            )
            for weights in table.keys("weights")
            for other, words in OTHER_CLIP.items()
        ]

    def figures(self, table: StudyTable) -> list[FigureSpec]:
        """The four parts and the share of movement: a column for each other clip."""
        panels = [
            DotPanel(
                f"with {words}",
                head_dots(table, [{"other": other, "part": part} for part in MEASURED], "value"),
                ((0.0, False),),
            )
            for other, words in OTHER_CLIP.items()
        ]
        axis = "Part of the cosine s, mean over videos; pale: random weights"
        return [DotFigure(self.title, tuple(MEASURED.values()), tuple(panels), axis)]

    def key_numbers(self, table: StudyTable) -> list[KeyNumber]:
        """The motion-motion part and the share of movement within a video."""
        return [
            key_number(table, BOTH_MOVE, "value", other="same", part="motion_motion"),
            key_number(table, SHARE, "value", other="same", part=MOVEMENT),
        ]
