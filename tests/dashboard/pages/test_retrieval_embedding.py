"""Retrieval and Embedding in a real browser, on a model that was planted to rank by colours.

RSP compares how red with how green a video is, A-VID how blue with how green it is. The query is
red and blue, so its nearest by RSP is the video that is red, by A-VID the one that is blue.
"""

import copy
import re
import shutil
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from playwright.sync_api import expect
from streamlit.testing.v1 import AppTest

from analysis.gallery.neighbours import Space
from analysis.gallery.structure import gallery_statistics
from dashboard.base.style import signed
from dashboard.pages.retrieval import labels
from dashboard.services.embeddings import protocol
from rspnet.data.video.encode import write_video
from rspnet.models import Branch
from rspnet.retrieval.gallery import embed_videos
from rspnet.retrieve import retrieve
from rspnet.weights.checkpoint import load_model, save_model
from tests.dashboard.browser import test_browser as shared
from tests.dashboard.conftest import texts
from tests.dashboard.pages.test_pages import open_page

expect.set_options(timeout=shared.PATIENCE)
browser, address, visitor = shared.browser, shared.address, shared.visitor
Visitor = shared.Visitor

# Of each video, how bright its red, green and blue block is.
VIDEOS = {
    "walk/query": (235, 130, 235),
    "walk/red": (235, 130, 20),
    "run/blue": (20, 130, 235),
    "run/green": (150, 235, 150),
    "run/more_green": (130, 235, 150),
    "walk/some_green": (150, 235, 130),
}
QUERY = "walk/query.mp4"
# The view is the middle 96 x 96 of 128 x 96 pixels.
RED, BLUE = (0.10, 0.44, 0.30, 0.58), (0.70, 0.44, 0.90, 0.58)


@pytest.fixture(scope="session")
def planted_model(planted_branch: Branch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    branch = copy.deepcopy(planted_branch)
    with torch.no_grad():
        middle = tuple(size // 2 for size in branch.encoder.conv1.kernel_size)
        branch.encoder.conv1.weight[(2, 1, *middle)] = 1.0  # green
        for module in branch.encoder.modules():
            shortcut = getattr(module, "downsample", None)
            if shortcut is not None:
                shortcut[0].weight[2, 2] = 1.0
        branch.head("rsp").weight[1, 2] = 1.0
        branch.head("avid").weight[0, 2] = 1.0
    path = tmp_path_factory.mktemp("model") / "colours.safetensors"
    return save_model(path, branch, branch)


def draw(bright: tuple[int, int, int]) -> np.ndarray:
    """Three blocks side by side that move up and down a little."""
    frames = np.full((40, 96, 128, 3), 20, np.uint8)
    for t in range(40):
        y = 34 + round(6 * np.sin(0.3 * t))
        for channel, value in enumerate(bright):
            x = 22 + 29 * channel
            frames[t, y : y + 28, x : x + 28, channel] = value
    return frames


@pytest.fixture(scope="session")
def planted_videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("colours")
    for name, widths in VIDEOS.items():
        write_video(root / f"{name}.mp4", draw(widths), 25.0, preset="ultrafast")
    write_video(root / "short" / "nine.mp4", draw((200, 200, 200))[:9], 25.0, preset="ultrafast")
    return root


@pytest.fixture(scope="session")
def planted_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("no_runs")


def first_hit(visitor: Any, feature: str) -> str:
    """What is written below the nearest video."""
    page = visitor.page
    page.wait_for_selector(f'[data-testid="hit-{feature}"]')
    return str(page.locator(f'.thumb:has([data-testid="hit-{feature}"])').first.inner_text())


@pytest.mark.browser
def test_each_heads_nearest_is_in_its_list(visitor: Any, address: str) -> None:
    visitor.open(address, "retrieval", query=QUERY)
    rsp, avid = first_hit(visitor, "rsp"), first_hit(visitor, "avid")
    assert "walk/red" in rsp
    assert "+1.00" in rsp
    assert "right" in rsp
    assert "run/blue" in avid
    assert "wrong" in avid
    page = visitor.page
    page.wait_for_selector('[data-testid="table"]')
    assert "top-5" in page.inner_text('[data-testid="table"]')
    # Ask with a hit: the query moves into the link and the lists change.
    page.locator(".st-key-ask_avid_1 button").click()
    page.wait_for_url(re.compile(r"query=run%2Fblue"))
    expect(page.locator('[data-testid="query"]')).to_contain_text("run/blue")
    # The third feature stands beside the two.
    page.get_by_text("Backbone", exact=True).first.click()
    page.wait_for_url(re.compile(r"by=rsp.avid.backbone"))
    assert "walk/query" in first_hit(visitor, "avid")
    page.wait_for_selector('[data-testid="hit-backbone"]')


def tile(visitor: Any, number: int) -> np.ndarray:
    data = visitor.page.locator('[data-testid="why-tiles"] .tile').nth(number).screenshot()
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(float)


@pytest.mark.browser
def test_why_shows_the_places_that_ranked_a_hit(visitor: Any, address: str) -> None:
    visitor.open(address, "retrieval", query=QUERY)
    first_hit(visitor, "avid")
    page = visitor.page
    page.locator(".st-key-why_rsp_1 button").click()
    page.wait_for_selector('[data-testid="why-tiles"]')
    page.wait_for_url(re.compile(r"why=rsp.1"))
    assert "walk/red is no. 1 of 5" in page.inner_text('[data-testid="why"]')
    assert page.locator('[data-testid="why-tiles"] .tile').count() == 3
    query = tile(visitor, 0)
    # Orange over red, nothing over blue: RSP does not see it.
    assert shared.block(query, *RED)[1] > 40
    assert shared.block(query, *BLUE)[0] < 35
    page.keyboard.press("Escape")
    expect(page.locator('[data-testid="stDialog"]')).to_have_count(0)
    page.wait_for_url(re.compile(r"^(?!.*why=)"))
    # The figure of the first few, from a link.
    visitor.open(address, "retrieval", query=QUERY, why="avid.all")
    picture = page.locator('[data-testid="stDialog"] img')
    picture.wait_for()
    assert picture.bounding_box()["width"] > 600


@pytest.mark.browser
def test_query_is_chosen_from_pages_of_the_gallery(visitor: Any, address: str) -> None:
    visitor.open(address, "retrieval", query="short/nine.mp4", k="7", by="rsp.speed", why="x")
    first_hit(visitor, "avid")
    page = visitor.page
    notes = page.locator('[data-testid="stAlert"]')
    expect(notes).to_have_count(4)
    assert "9 frames, a clip of this model takes 16" in " ".join(notes.all_inner_texts())
    page.get_by_role("button", name="Choose another").click()
    search = page.get_by_label("Search names and labels")
    search.fill("nothing like it")
    search.press("Enter")
    page.wait_for_selector('text="No name and no label holds this. Try fewer letters."')
    search.fill("MORE_green")
    search.press("Enter")
    expect(page.get_by_role("button", name="Take this one")).to_have_count(1)
    page.get_by_role("button", name="Take this one").click()
    page.wait_for_url(re.compile(r"query=run%2Fmore_green"))
    expect(page.locator('[data-testid="query"]')).to_contain_text("run/more_green")


# Where the first point of the last trace lies in the window, and the video's name.
POINT = """() => {
    const plot = document.querySelector('.js-plotly-plot'), trace = plot.data.at(-1);
    const {xaxis2: x, yaxis2: y} = plot._fullLayout, box = plot.getBoundingClientRect();
    const one = plot.calcdata.at(-1)[0];
    return {x: box.x + x._offset + x.l2p(one.x), y: box.y + y._offset + y.l2p(one.y),
            name: trace.text[0]};
}"""


def lasso(page: Any, left: float, right: float) -> None:
    """Draw around a part of the first map, from top to bottom."""
    box = page.locator(".js-plotly-plot .nsewdrag").first.bounding_box()
    path = [(left, 0.02), (right, 0.02), (right, 0.98), (left, 0.98), (left, 0.05)]
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in path]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=6)
    page.mouse.up()


@pytest.mark.browser
def test_lasso_selects_in_both_maps_and_leads_to_retrieval(visitor: Any, address: str) -> None:
    visitor.open(address, "embedding", video="nowhere.mp4")
    page = visitor.page
    page.wait_for_selector(".js-plotly-plot .scatterlayer .trace")
    assert "is not in the gallery; none is selected" in page.inner_text('[data-testid="stAlert"]')
    lasso(page, 0.01, 0.99)
    summary = page.locator('[data-testid="summary"]')
    expect(summary).to_contain_text("6 videos selected")
    expect(summary).to_contain_text("3 run, 3 walk")
    page.get_by_role("button", name="Clear the selection").click()
    expect(summary).to_contain_text("No video is selected")
    # With the tool Pan a click selects the one video under it, in the second map as well.
    page.wait_for_function("!document.querySelector('[data-stale=true]')")
    page.locator('.modebar-btn[data-title="Pan"]').click()
    place = page.evaluate(POINT)
    page.mouse.move(place["x"] - 3, place["y"])
    page.mouse.move(place["x"], place["y"], steps=3)
    page.wait_for_timeout(300)  # Plotly looks for the nearest point now and then only
    page.mouse.click(place["x"], place["y"])
    expect(summary).to_contain_text("1 video selected")
    card = page.locator('.thumb:has([data-testid="chosen"])')
    expect(card).to_contain_text(place["name"])
    # One video, by its name; the link holds it, and it stands out in both maps.
    page.get_by_role("button", name="Find a video").click()
    page.get_by_label("Search names and labels").fill("blue")
    page.get_by_label("Search names and labels").press("Enter")
    expect(page.get_by_role("button", name="Take this one")).to_have_count(1)
    page.get_by_role("button", name="Take this one").click()
    expect(summary).to_contain_text("1 video selected")
    page.wait_for_url(re.compile(r"video=run%2Fblue"))
    page.wait_for_function(
        "document.querySelector('.js-plotly-plot')?.data.filter("
        "t => t.selectedpoints?.length === 1).length === 2"
    )
    expect(card).to_contain_text("run/blue")
    page.get_by_role("link", name="Nearest").click()
    page.wait_for_url(re.compile(r"/retrieval\?.*query=run%2Fblue"))
    first_hit(visitor, "rsp")
    expect(page.locator('[data-testid="query"]')).to_contain_text("run/blue")


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["retrieval", "embedding"])
def test_pictures_of_the_pages(browser: Any, address: str, name: str, scheme: str) -> None:
    visitor = Visitor(browser, 1440, scheme)
    link = {"query": QUERY} if name == "retrieval" else {"video": QUERY}
    visitor.open(address, name, **link)
    page = visitor.page
    last = {"retrieval": '[data-testid="table"]', "embedding": '[data-testid="chosen"]'}[name]
    page.wait_for_selector(last)
    page.wait_for_function("!document.querySelector('[data-testid=stSkeleton]')")
    shared.SHOTS.mkdir(parents=True, exist_ok=True)
    for width in (1440, 800):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(600)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        height = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
        page.set_viewport_size({"width": width, "height": int(height)})
        path = shared.SHOTS / f"{name}-{width}-{scheme}.png"
        page.screenshot(path=str(path))
        background = cv2.imread(str(path))[4, 4].mean()
        assert (background > 200) if scheme == "light" else (background < 60)
    visitor.close()


@pytest.fixture
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RSPNET_CACHE", str(tmp_path / "cache"))


def settle(app: AppTest) -> AppTest:
    """Draw until the gallery is embedded."""
    deadline = time.monotonic() + 60
    while app.get("progress") and time.monotonic() < deadline:
        time.sleep(0.2)
        app.run()
    return app


@pytest.mark.usefixtures("_cache")
@pytest.mark.parametrize("name", ["retrieval", "embedding"])
def test_too_few_videos_are_said(
    name: str, planted_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "few"
    write_video(root / "a" / "one.mp4", draw((200, 150, 150)), 25.0, preset="ultrafast")
    argv = ["--model", str(planted_model), "--videos", str(root)]
    app = open_page(name, argv, monkeypatch)
    assert not app.exception
    assert "holds 1 video: at least 2 are needed" in app.info[0].value
    write_video(root / "a" / "two.mp4", draw((200, 150, 150))[:9], 25.0, preset="ultrafast")
    from dashboard.widgets import pool

    pool._listed.clear()
    app = settle(open_page(name, argv, monkeypatch))
    assert not app.exception
    assert "Only 1 of the 2 videos can be used" in app.info[0].value
    assert "a/two.mp4" in app.info[0].value
    empty = tmp_path / "empty"
    empty.mkdir()
    app = open_page(name, ["--model", str(planted_model), "--videos", str(empty)], monkeypatch)
    assert not app.exception
    assert "Your videos can't be shown" in app.error[0].value


@pytest.mark.usefixtures("_cache")
def test_lists_and_numbers_are_those_of_the_command_line(
    planted_model: Path, planted_videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    argv = ["--model", str(planted_model), "--videos", str(planted_videos)]
    app = settle(open_page("retrieval", argv, monkeypatch, query=QUERY, by="backbone", k="5"))
    assert not app.exception
    assert not app.warning
    branch = load_model(planted_model)
    paths = sorted(planted_videos.rglob("*.mp4"))
    gallery = embed_videos(branch, paths, protocol(branch), progress=False)
    own = gallery.paths.index(planted_videos / QUERY)
    vector = gallery.vectors["backbone"][own]
    shown = re.findall(r'class="what" title="\d\. ([^"]+)".*?class="number">([^<]+)<', texts(app))
    near = gallery.nearest(vector, "backbone", 5, exclude=gallery.paths[own])
    assert shown[:5] == [
        (hit.path.relative_to(planted_videos).with_suffix("").as_posix(), signed(hit.similarity, 2))
        for hit in near
    ]
    result = retrieve(gallery, gallery, "rsp", [1, 5])
    assert f"{result.top_k[1]:.1f} <span" in texts(app)
    assert "at k, in %, with 95% intervals over 6 queries" in texts(app)
    views = gallery_statistics([Space.of(gallery, head) for head in ("rsp", "avid")], k=5, num=1)
    for hubs in views.hubs:
        assert f"{signed(hubs.skewness.value, 2)} <span" in texts(app)
    assert f"share {100 * views.overlaps[0].mean.value:.0f}%" in texts(app)


@pytest.mark.usefixtures("_cache")
def test_what_right_and_wrong_mean_is_said(
    planted_model: Path, planted_videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "own"
    argv = ["--model", str(planted_model), "--videos", str(root)]
    for name in ("query", "red", "blue"):
        folder = next(p.parent for p in planted_videos.rglob(f"{name}.mp4"))
        root.mkdir(exist_ok=True)
        shutil.copy(folder / f"{name}.mp4", root)
    app = settle(open_page("retrieval", argv, monkeypatch))
    assert not app.exception
    assert labels.NO_FOLDERS in [caption.value for caption in app.caption]
    assert [info.value for info in app.info] == [labels.NO_TABLE]  # not top-k of 100%
    assert 'class="verdict' not in texts(app)
    assert "of 2 right" not in texts(app)
    assert not any("rspnet.retrieve" in code.value for code in app.code)
    # Two of the same folder, and three that lie in none.
    shutil.copytree(planted_videos / "walk", root / "walk")
    from dashboard.widgets import pool

    pool._listed.clear()
    app = settle(open_page("retrieval", argv, monkeypatch, query="walk/red.mp4"))
    captions = [caption.value for caption in app.caption]
    assert any(
        text.startswith("Right: a hit lies in a folder of the same name") for text in captions
    )
    assert "over 3 queries" in texts(app)
    assert "3 of the videos have no label and do not ask." in texts(app)
    app = open_page("retrieval", argv, monkeypatch, query="red.mp4")
    captions = [caption.value for caption in app.caption]
    assert any("The query lies in no folder of a class" in text for text in captions)
    assert 'class="verdict' not in texts(app)


@pytest.mark.usefixtures("_cache")
def test_videos_that_changed_are_not_explained(
    planted_model: Path, planted_videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "own"
    shutil.copytree(planted_videos, root)
    argv = ["--model", str(planted_model), "--videos", str(root)]
    app = settle(open_page("retrieval", argv, monkeypatch, query=QUERY, why="rsp.1"))
    assert not app.exception
    assert not app.error
    assert "walk/red</b> is no. 1 of 5" in texts(app)
    assert app.query_params["why"] == "rsp.1"
    write_video(root / "run" / "blue.mp4", draw((235, 235, 20)), 25.0, preset="ultrafast")
    (root / "run" / "green.mp4").write_text("This is no video.")
    link = {"query": QUERY, "k": "5"}
    app = open_page("retrieval", argv, monkeypatch, why="avid.1", **link)
    assert not app.exception
    assert "the file has changed" in app.error[0].value
    app = open_page("retrieval", argv, monkeypatch, why="avid.2", **link)
    assert not app.exception
    assert "green.mp4" in app.error[0].value


@pytest.mark.usefixtures("_cache")
def test_equal_videos_have_neighbours_but_no_map(
    planted_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "same"
    for name in ("a/one", "b/two", "c/three"):
        write_video(root / f"{name}.mp4", draw((200, 150, 150)), 25.0, preset="ultrafast")
    argv = ["--model", str(planted_model), "--videos", str(root)]
    app = settle(open_page("retrieval", argv, monkeypatch))
    assert not app.exception
    assert texts(app).count('data-testid="hit-rsp"') == 2
    assert "No two videos of this gallery have a label in common" in app.info[0].value
    commands = [code.value for code in app.code]
    assert any("analysis retrieval" in c and "--feature avid --k 2" in c for c in commands)
    assert any("rspnet.retrieve" in c and c.endswith("--k 1") for c in commands)
    app = open_page("embedding", argv, monkeypatch)
    assert not app.exception
    assert "all videos have the same vector" in app.error[0].value
