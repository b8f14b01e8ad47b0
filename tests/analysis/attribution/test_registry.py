"""Adding a kind of map is one registered function: everything that lists kinds then has it."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from analysis import ClipInfo, ClipMap, PairClips, View, all_maps, map_kinds, register_map
from analysis.attribution.registry import DEFAULT_MAP, MAP_KINDS, map_kind
from analysis.cli.figure1 import main as figure1
from analysis.cli.maps import main as maps
from analysis.cli.strips import main as strips
from analysis.figures.figure1 import draw_figure1
from analysis.figures.strips import pair_rows
from analysis.stimuli.kinds import encode_triplet, kinds_of, maps_of
from dashboard.overlays.options import DisplayOptions, menu, symbols
from rspnet.models import Branch
from rspnet.names import Side

ROOT = Path(__file__).resolve().parents[3]


def make_branch(seed: int) -> Branch:
    torch.manual_seed(seed)
    options = {"width": 2, "stem_kernel": (1, 3, 3)}
    return Branch("resnet18_fine", options, num_frames=8, size=32).eval()


def view(seed: int, speed: int = 1) -> View:
    frames = np.random.default_rng(seed).integers(0, 256, (8, 32, 32, 3), np.uint8)
    return View(frames, ClipInfo(f"v{seed}", tuple(range(0, 8 * speed, speed)), speed))


@pytest.fixture
def toy() -> Iterator[str]:
    """A kind that doubles the contributions, as a stranger would add it in a file of its own."""

    @register_map(
        key="toy_double",
        title="Toy, doubled",
        symbol="2s",
        units="twice s, per cell",
        needs="pair",
        sums_to="twice the cosine similarity s",
        text="Twice what makes `c_i` like `c_j`.",
    )
    def toy_double(clips: PairClips, head: str, side: Side) -> ClipMap:
        found = clips.map_of(clips.similarity(head, side), side, "toy_double")
        return replace(found, values=2 * found.values, score=2 * found.score)

    yield "toy_double"
    MAP_KINDS.remove("toy_double")


@pytest.mark.parametrize("main", [maps, figure1, strips])
def test_a_new_kind_is_a_choice_of_the_commands(toy: str, main, capsys, tmp_path: Path) -> None:
    assert main(["--help"]) == 0
    assert toy in capsys.readouterr().out
    option = "--maps" if main is maps else "--map"
    assert main([option, "toy_doubl", "--out", str(tmp_path / "a.png")]) == 2
    assert toy in capsys.readouterr().err


def test_a_new_kind_is_made_drawn_and_measured(toy: str) -> None:
    query, key = make_branch(0), make_branch(1)
    found = all_maps(query, key, view(0), view(1), view_k=view(2, 2), others=[view(3)])
    own, plain = found.kinds[toy], found.kinds["contribution"]
    for head in ("rsp", "avid"):
        for side in (0, 1):
            expected = 2 * plain.rows[head][side].values
            np.testing.assert_array_equal(own.rows[head][side].values, expected)
    drawn = draw_figure1(found.clips, kind=toy, num_frames=1)
    assert "Toy, doubled. Twice what makes c_i like c_j." in drawn.caption
    assert [row.clip_map.kind for row in pair_rows(found.clips, toy)] == [toy] * 4
    triplet = encode_triplet(query, key, (view(0), view(1), view(2, 2)))
    assert toy in kinds_of(query, key)
    measured = maps_of(triplet, "rsp", [])
    np.testing.assert_array_equal(measured[toy], 2 * measured["contribution"])


def test_a_new_kind_is_in_the_dashboards_menu(toy: str) -> None:
    assert menu()[toy] == "Toy, doubled"
    assert DisplayOptions(kind=toy).map.units == "twice s, per cell"
    assert symbols(map_kind(toy).text).startswith('Twice what makes <span class="symbol">c<sub>i')


def test_what_opens_first_is_the_margin_towards_the_faster_clip() -> None:
    assert DEFAULT_MAP == "margin_faster" == next(iter(menu()))
    assert [kind.key for kind in map_kinds().values() if kind.by_default] == [
        "eq2", "contribution", "margin", "margin_faster", "margin_deviation", "margin_static",
    ]  # fmt: skip
    assert map_kind("margin_static").title == "Margin \N{MINUS SIGN} static clip"
    assert list(menu().values()).count("Captum") == 1


def test_mistakes_are_named(toy: str) -> None:
    with pytest.raises(
        ValueError, match=r"unknown kind of map 'margin_fastr'.* Did you mean 'margin_faster'\?"
    ):
        map_kind("margin_fastr")
    with pytest.raises(ValueError, match="there is a kind of map 'toy_double' already"):
        register_map(key=toy, title="", symbol="", units="", needs="pair", sums_to="", text="")(
            lambda clips, head, side: clips
        )


def test_listing_the_kinds_imports_no_torch() -> None:
    code = (
        "import sys\nfrom analysis.attribution.registry import map_kinds\n"
        "from dashboard.overlays.options import menu\nassert len(map_kinds()) > 10 and menu()\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
