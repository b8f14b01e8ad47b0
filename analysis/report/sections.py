"""Sections of a report: each result as tables, with a sentence of what was found."""

from collections.abc import Sequence
from typing import Any

from analysis.core.statistics import Estimate
from analysis.report.page import Section, Table
from analysis.report.page import number as plain_number
from analysis.stimuli.perturbations import find_change
from analysis.studies.faithfulness_result import FaithfulnessResult
from analysis.studies.localisation_result import KIND_NAMES, LocalisationStudy
from analysis.studies.localisation_result import REGION_NAMES as REGIONS
from analysis.studies.optical_flow_result import TARGET_NAMES, TARGETS, FlowStudy
from analysis.studies.response_result import Responses
from analysis.studies.sanity_result import OTHER_VIDEO, RULE, SanityResult
from analysis.studies.selectivity import selectivities, selectivity
from rspnet.retrieve import KS, PUBLISHED

NAMES = {"rsp": "RSP", "avid": "A-VID", "backbone": "backbone"}
WHERE = {"generated": "generated videos", "real": "real videos"}
# The margin map signed towards the faster clip: that of a slow query shows what stands still.
HEADLINE_KIND = "margin_faster"
_SHOWN = ("limbs", "body", "prop", "set_cues")


def _between(interval: Sequence[float], value: float, num: int) -> Estimate:
    return Estimate(value, interval[0], interval[1], num)


def _written(found: Estimate) -> str:
    return f"{plain_number(found.value)}, {plain_number(found.low)} to {plain_number(found.high)}"


def verdict(found: Estimate, more: str, less: str) -> str:
    """Which of two heads has more of something, as far as the interval says."""
    if found.low > 0:
        return more
    return less if found.high < 0 else "no difference that these videos can show"


def pretext_section(pretext: dict[str, Any]) -> Section:
    """How well the model does what it was trained on."""
    rows: list[list[str | float | Estimate]] = []
    for kind, weights in pretext.items():
        for name, found in weights.items():
            r = found["result"]
            rows.append(
                [
                    f"{name}, {WHERE[kind]}",
                    _between(r["rsp_interval"], r["rsp_accuracy"], r["num_videos"]),
                    _between(r["avid_interval"], r["avid_top1"], r["num_videos"]),
                    str(r["num_videos"]),
                    str(r["num_triplets"]),
                ]
            )
    return Section(
        key="pretext",
        title="Does it do what it was trained on?",
        reading=(
            "RSP: share of triplets in which the clip of the same speed is nearer than that of the "
            "other speed; chance is 0.50. A-VID: share of videos whose other clip is the nearest "
            "of all. An untrained network finds most videos of a fixed camera again, so its row is "
            "what the trained one has to be compared with."
        ),
        tables=[
            Table(
                header=("weights and videos", "RSP, right order", "A-VID, top-1", "videos",
                        "triplets"),
                rows=rows,
                caption="Pretext tasks, 95% interval over videos",
                strong=frozenset(range(0, len(rows), 2)),
            )
        ],
    )  # fmt: skip


def retrieval_section(found: dict[str, Any]) -> Section:
    """Top-k with the published rows where they compare."""
    features = found["features"]
    ks = list(next(iter(features.values()))["top_k"])
    rows: list[list[str | float | Estimate]] = []
    for name, r in features.items():
        cells = [_between(r["interval"][k], r["top_k"][k], r["num_queries"]) for k in ks]
        rows.append([NAMES[name], *cells])
    dataset = found["queries"]["dataset"]
    tables = [
        Table(
            header=("feature", *(f"top-{k}, %" for k in ks)),
            rows=rows,
            caption=(
                f"{found['num_queries']} queries in {found['num_gallery']} videos of "
                f"{dataset.get('name', 'the gallery')}, 95% interval over queries"
            ),
        )
    ]
    if dataset.get("name") == "ucf101" and dataset.get("fold") == 1:
        published = []
        for name, values in PUBLISHED:
            by_k = {str(k): v for k, v in zip(KS, values, strict=True)}
            shares = [by_k.get(k) for k in ks]
            published.append([name, *("-" if v is None else f"{v:.1f}" for v in shares)])
        tables.append(
            Table(
                header=("published", *(f"top-{k}, %" for k in ks)),
                rows=published,
                caption="UCF101 split 1, pre-trained on Kinetics-400",
            )
        )
    protocol = found["protocol"]
    return Section(
        key="retrieval",
        title="Does it find videos of the same class?",
        reading=(
            f"{protocol['num_clips']} clips a video of {protocol['num_frames']} x "
            f"{protocol['size']} x {protocol['size']}, {protocol['pooling']} pooling, cosine; "
            "right at k if any of the k nearest is of the query's class (supplementary B)."
        ),
        tables=tables,
    )


def localisation_section(found: LocalisationStudy) -> Section:
    """Maps against the ground truth of generated videos."""
    trained = found.of()
    limbs = trained.difference(HEADLINE_KIND, "limbs")
    rsp, prop = (
        trained.row(HEADLINE_KIND, "rsp", "limbs").ratio,
        trained.row(HEADLINE_KIND, "rsp", "prop"),
    )
    says = verdict(limbs, "more than A-VID's", "less than A-VID's")
    answer = (
        f"The margin map of RSP, signed towards the faster clip, lies in moving limbs "
        f"{plain_number(rsp.value)} times as much as their area, {says} ({_written(limbs)}), and "
        f"{plain_number(prop.ratio.value)} times on the prop."
    )
    tables = []
    for result in found.results:
        rows: list[list[str | float | Estimate]] = []
        if result is trained:
            for name, title in (("area", "share of the pixels"), ("ceiling", "largest possible")):
                values = [getattr(trained.row("margin", "rsp", r), name).value for r in _SHOWN]
                rows.append([title, *(plain_number(v) for v in values)])
        for kind in result.kinds:
            for head in ("rsp", "avid"):
                cells = [result.row(kind, head, region).ratio for region in _SHOWN]
                rows.append([f"{KIND_NAMES[kind]}, {NAMES[head]}", *cells])
        tables.append(
            Table(
                header=("kind of map", *(REGIONS[region] for region in _SHOWN)),
                rows=rows,
                caption=(
                    f"{result.weights}: share of the positive energy over share of the pixels, "
                    f"{result.num_videos} generated videos, 95% interval over videos"
                ),
                folded=result is not trained,
                strong=frozenset(
                    n
                    for n, row in enumerate(rows)
                    if str(row[0]).startswith(KIND_NAMES[HEADLINE_KIND])
                ),
            )
        )
    return Section(
        key="planted",
        title="Do the maps lie where the truth is?",
        answer=answer,
        reading=(
            "1.00 is a map that knows nothing. On a grid this coarse no map can reach more than "
            f"the largest possible ratio (one cell; the grid is {found.grid}). With swapped heads "
            "the two rows of a kind change places; with random weights the heads do not differ."
        ),
        tables=tables,
    )


def responses_section(found: dict[str, Responses]) -> Section:
    """What moves each head."""
    tables, sentences = [], []
    for kind, responses in found.items():
        rows: list[list[str | float | Estimate]] = []
        strong = []
        for found_one in selectivities(responses):
            heads = {head.head: head for head in found_one.heads}
            if found_one.weights == responses.weights:
                strong.append(len(rows))
            rows.append(
                [
                    f"{found_one.measure.title}, {found_one.weights}",
                    heads["rsp"].motion,
                    heads["avid"].motion,
                    found_one.difference,
                ]
            )
        tables.append(
            Table(
                header=("changes and weights", "RSP", "A-VID", "RSP less A-VID"),
                rows=rows,
                caption=(
                    f"motion selectivity, {len(responses.videos)} {WHERE[kind]} "
                    f"({len(responses.skipped)} left out), 95% interval over videos"
                ),
                strong=frozenset(strong),
            )
        )
        d = selectivity(responses, "changes").difference
        says = verdict(
            d,
            "the RSP head is moved more by motion than the A-VID head",
            "the A-VID head is moved more by motion than the RSP head",
        )
        sentences.append(f"On {WHERE[kind]}: {says} ({_written(d)}).")
        tables.append(_drops(kind, responses))
    return Section(
        key="responses",
        title="What moves each head?",
        answer=" ".join(sentences),
        reading=(
            "One thing about a clip is changed at a time. A drop of 1.00 is as far as the clip of "
            "another video. Motion selectivity is the drop under changes of motion over the drop "
            "under changes of motion and of appearance: 1.00 for a head that only motion moves. "
            "Appearance selectivity is 1 less it. How strong the changes are is a choice: compare "
            "heads and controls, not with 0.50."
        ),
        tables=tables,
    )


def _drops(kind: str, responses: Responses) -> Table:
    rows: list[list[str | float | Estimate]] = []
    for curve in responses.curves:
        change = find_change(curve.change)
        for level in curve.levels:
            if level != change.neutral:
                name = change.title if change.is_switch else f"{change.title}: {level:g}"
                drops = [responses.scaled_drop(h, curve.change, level) for h in ("rsp", "avid")]
                rows.append([name, *drops, responses.difference(curve.change, level)])
    return Table(
        header=("change", "RSP", "A-VID", "RSP less A-VID"),
        rows=rows,
        caption=(
            "drop of the similarity in units of the drop to other videos, "
            f"{len(responses.videos)} {WHERE[kind]}, 95% interval over videos"
        ),
        folded=True,
    )


def flow_section(found: FlowStudy) -> Section:
    """Maps against movement and saliency of real videos."""
    trained = found.of()
    row = trained.row(HEADLINE_KIND, "flow")
    d = row.difference
    says = verdict(d, "more closely than A-VID's", "less closely than A-VID's")
    tables = []
    for result in found.results:
        rows: list[list[str | float | Estimate]] = []
        for target in TARGETS:
            for kind in result.kinds:
                r = result.row(kind, target)
                rows.append([f"{KIND_NAMES[kind]} with {TARGET_NAMES[target]}", r.rsp, r.avid,
                             r.difference])  # fmt: skip
        tables.append(
            Table(
                header=("map with", "RSP", "A-VID", "RSP less A-VID"),
                rows=rows,
                caption=(
                    f"{result.weights}: Spearman's rho over the cells of a clip, mean over "
                    f"{found.num_videos} {found.what} ({len(found.skipped)} left out), 95% "
                    "interval over videos"
                ),
                folded=result is not trained,
                strong=frozenset(
                    n
                    for n, r in enumerate(rows)
                    if str(r[0]).startswith(f"{KIND_NAMES[HEADLINE_KIND]} with optical")
                ),
            )
        )
    return Section(
        key="flow",
        title="Do the maps follow movement in real video?",
        answer=(
            f"RSP's margin map, signed towards the faster clip, follows optical flow with rho "
            f"{plain_number(row.rsp.value)}, {says} ({_written(d)})."
        ),
        reading=(
            "Optical flow by DIS with the camera's motion removed by a homography. Movement itself "
            "correlates with "
            + " and ".join(
                f"{TARGET_NAMES[name]} at {plain_number(rho.value)}"
                for name, rho in found.pixels.items()
            )
            + ": a map of salient places follows movement a little by that alone."
        ),
        tables=tables,
    )


def faithfulness_section(found: dict[str, FaithfulnessResult]) -> Section:
    """Insertion and deletion against random and centre baselines."""
    tables, better, rows_seen = [], 0, 0
    for result in found.values():
        rows: list[list[str | float | Estimate]] = []
        for row in result.curves:
            better += row.over_random.low > 0
            rows_seen += 1
            rows.append(
                [
                    f"{row.mode}, {NAMES[row.head]}, {row.question}, {row.fill}",
                    row.map,
                    row.random,
                    row.centre,
                    row.over_random,
                    row.over_centre,
                ]
            )
        tables.append(
            Table(
                header=("test", "map", "random", "centre", "better than random",
                        "better than centre"),
                rows=rows,
                caption=(
                    f"area under the curve of the score, {result.num_videos} {result.videos}, 95% "
                    "interval over videos"
                ),
            )
        )  # fmt: skip
        infidelity: list[list[str | float | Estimate]] = [
            [f"{NAMES[r.head]}, {r.question}, {r.fill}", r.map, r.shuffled, r.better]
            for r in result.infidelity
        ]
        tables.append(
            Table(
                header=("question", "map", "map shuffled", "better by"),
                rows=infidelity,
                caption="share of the drops left unexplained (normalised infidelity); 0 is perfect",
            )
        )
    return Section(
        key="faithfulness",
        title="Does the score change where the maps say?",
        answer=(
            f"In {better} of {rows_seen} tests the order of the map is better than random orders, "
            "beyond its interval."
        ),
        reading=(
            "Cells of the clip are replaced in the order of the map: deletion is good when the "
            "score falls early (a small area), insertion when it rises early (a large one)."
        ),
        tables=tables,
    )


def sanity_section(found: SanityResult) -> Section:
    """Whether maps depend on the weights."""
    rows: list[list[str | float | Estimate]] = []
    strong, verdicts = [], []
    for head, question in found.questions:
        passes = "passes" if found.passes(head, question) else "does not pass"
        verdicts.append(f"{NAMES[head]}, {question}: {passes}.")
        for stage in (*found.stages, OTHER_VIDEO):
            signed = found.row(head, question, stage)
            absolute = found.row(head, question, stage, "absolute")
            if stage == found.stages[-1]:
                strong.append(len(rows))
            rows.append(
                [f"{NAMES[head]}, {question}, {stage}", signed.rho, signed.size, absolute.size]
            )
    return Section(
        key="sanity",
        title="Do the maps depend on the weights?",
        answer=" ".join(verdicts),
        reading=(
            f"Weights are made random from the heads down, step by step (Adebayo et al. 2018). A "
            f"map {RULE}. The last row of each is how alike the trained model's own maps of two "
            "different videos are."
        ),
        tables=[
            Table(
                header=("random down to", "rho, signed", "|rho|, signed", "|rho|, |map|"),
                rows=rows,
                caption=(
                    f"rank correlation with the trained model's map, {found.num_videos} "
                    f"{found.videos}, {found.num_draws} draws, 95% interval over videos"
                ),
                strong=frozenset(strong),
            )
        ],
    )
