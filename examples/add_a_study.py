"""Add a study: ``python examples/add_a_study.py --num_videos 8``.

A study is one file: a configuration, what is measured, and the sentence that says what was found.
Moved into ``analysis/studies/`` it is a command of ``python -m analysis``, a section of the report,
and a part of comparisons and of the dashboard's page Evidence, without another edit.
"""

import sys
from dataclasses import dataclass

from analysis.__main__ import main
from analysis.core.clip import static_clip
from analysis.core.score import extract_features
from analysis.core.statistics import ratio
from analysis.core.table import Row, StudyTable
from analysis.stimuli.kinds import with_random_weights
from analysis.studies.registry import Study, StudyInputs, VideoStudyConfig, register_study
from rspnet.names import HEAD_TITLES, HEADS


@dataclass(frozen=True, kw_only=True)
class StandstillConfig(VideoStudyConfig):
    """How far an embedding moves when its clip is replaced by the static clip.

    Attributes:
        num_videos: Videos, one clip of each.
    """

    num_videos: int = 40


@register_study
class Standstill(Study[StandstillConfig]):
    """Distance of a clip's embedding to that of the static clip, over that to another video."""

    name = "standstill"
    title = "Standstill"
    question = "Does a head notice that a clip stands still?"
    reading = "0: it does not notice; 1: as far as another video. Compare with random weights."
    needs = "any"  # synthetic videos, or real ones where --videos names some
    config = StandstillConfig

    def measure(self, inputs: StudyInputs, config: StandstillConfig) -> StudyTable:
        """Measure the trained model and, as a control, random weights."""
        triplets = inputs.triplets(config.num_videos, config.seed)
        clips = [c_i for c_i, _, _ in triplets.views]
        untrained = with_random_weights(inputs.query, config.seed)
        rows = []
        for weights, branch in (("trained", inputs.query), ("random weights", untrained)):
            moving = [extract_features(branch, clip) for clip in clips]
            static = [extract_features(branch, static_clip(clip)) for clip in clips]
            for head in HEADS:
                z, z_static = ([f.unit(head) for f in part] for part in (moving, static))
                to_static = [1 - float(a @ b) for a, b in zip(z, z_static, strict=True)]
                to_other = [1 - float(a @ b) for a, b in zip(z, [*z[1:], z[0]], strict=True)]
                keys = {"weights": weights, "head": head}
                rows.append(Row(keys=keys, values={"distance": ratio(to_static, to_other)}))
        return StudyTable(
            study=self.name,
            rows=tuple(rows),
            num_videos=len(clips),
            videos=triplets.what,
            model_hash=inputs.query.hash,
            seed=config.seed,
        )

    def finding(self, table: StudyTable) -> str:
        """What was found, with its intervals."""
        parts = []
        for head in HEADS:
            found = table.one(weights="trained", head=head)["distance"]
            parts.append(
                f"{HEAD_TITLES[head]} {found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"
            )
        return f"Static, a clip moves by this share of the way to another: {', '.join(parts)}."


if __name__ == "__main__":
    sys.exit(main(["standstill", *sys.argv[1:]]))
