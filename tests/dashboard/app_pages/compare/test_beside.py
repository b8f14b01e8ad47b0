"""Two models on the same pair: rows, numbers, and why a second one is not shown."""

import re
from pathlib import Path
from typing import Any

import pytest

from dashboard.app_pages.compare import panels
from dashboard.base.arguments import Arguments
from dashboard.services import models
from tests.dashboard.apps import texts
from tests.dashboard.conftest import Open
from tests.dashboard.tiny import save_tiny_model


def test_two_models_are_drawn_on_the_same_pair(
    open_app: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[dict[str, Any]] = []
    monkeypatch.setattr(panels, "viewer", lambda data, *_: drawn.append(data))
    app = open_app(map="contribution", second=models.RANDOM, rows="difference")
    assert not app.exception
    assert not app.error
    assert app.query_params["second"] == models.RANDOM
    rows = drawn[-1]["rows"]
    assert [row["head"] for row in rows] == ["rsp", "rsp-2", "avid", "avid-2", "difference"]
    assert [row["note"] for row in rows[:4]] == 2 * ["planted", models.RANDOM]
    assert [row.get("beside", False) for row in rows[:4]] == 2 * [False, True]
    assert rows[1]["panels"][0]["alt"].startswith(f"{models.RANDOM}: ")
    assert rows[0]["panels"][0]["image"] != rows[1]["panels"][0]["image"]
    (table,) = re.findall(r'data-testid="two-models">.*?</table>', texts(app), re.DOTALL)
    lines = [re.sub(r"<[^>]+>", "|", line) for line in re.findall(r"<tr data.*?</tr>", table)]
    assert len(lines) == 2 * 3  # heads x (the sum and the share on moving pixels of both clips)
    first, second, difference = (
        float(cell.replace("\N{MINUS SIGN}", "-"))
        for cell in re.findall("[+\N{MINUS SIGN}]\\d\\.\\d{4}", lines[0])
    )
    assert first == 1.0  # the planted model, whose features are the same in both clips
    assert second != first
    assert difference == pytest.approx(first - second, abs=1.01e-4)
    # Its menu is one click away, under its own name.
    menus = {found.proto.popover.label: found for found in app.get("popover")}
    assert menus["Second model"].selectbox(key="second_model").label == "Compare with"
    app.selectbox(key="second_model").set_value("").run()
    assert [row["head"] for row in drawn[-1]["rows"]] == ["rsp", "avid", "difference"]
    assert drawn[-1]["rows"][0]["note"] == "relative speed"
    assert "two-models" not in texts(app)
    assert "second" not in app.query_params


def test_a_second_model_that_can_not_be_shown_is_said(
    open_app: Open, planted_videos: Path, tmp_path: Path
) -> None:
    app = open_app(map="contribution", second="gone")
    assert "names the second model `gone`, which is not here" in app.warning[0].value
    argv = ["--model", str(save_tiny_model(tmp_path)), "--videos", str(planted_videos)]
    other = next(c for c in models.list_choices(Arguments()) if c.num_frames == 16)
    app = open_app(*argv, map="contribution", second=other.name)
    assert not app.exception
    said = " ".join(info.value for info in app.info)
    assert "is not shown beside it: it takes clips of 16 frames, and tiny of 8." in said
    assert "two-models" not in texts(app)
    assert "facts-rsp" in texts(app)
