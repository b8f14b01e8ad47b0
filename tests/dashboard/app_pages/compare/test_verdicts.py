"""Verdicts on the maps of Compare, checked in the background."""

import re

import pytest

from dashboard.overlays import verdict_job
from dashboard.services import jobs
from tests.dashboard.apps import run_until, texts
from tests.dashboard.conftest import Open


def test_the_maps_get_a_verdict_in_the_background(
    open_app: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = run_until(open_app(i_start="6"), lambda app: "Verdict on these maps" in texts(app))
    assert not app.exception
    said = texts(app)
    assert re.search(r"RSP <b class=\"verdict-\w+\">(supported|weak|not supported)</b>", said)
    assert any("random orders, on average by" in text.value for text in app.markdown)
    kept = len(verdict_job.store().results)
    app.run()  # and it is kept
    assert "Verdict on these maps" in texts(app)
    assert len(verdict_job.store().results) == kept

    def fail(*_: object, **__: object) -> None:
        raise ValueError("no verdict today")

    monkeypatch.setattr("analysis.report.verdict.verdicts", fail)
    app.slider("start_i").set_value(7).run()
    app = run_until(app, lambda app: any("no verdict today" in c.value for c in app.caption))
    assert not app.exception


def test_verdicts_are_on_scores_of_the_heads(open_app: Open) -> None:
    for kind in ("cam", "occlusion"):
        assert 'data-testid="verdicts"' not in texts(open_app(map=kind))


def test_what_was_pushed_out_is_checked_again_and_nothing_piles_up(open_app: Open) -> None:
    app = run_until(open_app(i_start="8"), lambda app: "Verdict on these maps" in texts(app))
    assert not app.exception
    verdict_job.store().results.clear()
    app = run_until(app.run(), lambda app: "Verdict on these maps" in texts(app))
    # Others' way over a slider: what is passed by is not checked on.
    with verdict_job.store().at_work:
        for start in (2, 3, 5):
            app.slider("start_i").set_value(start).run()
        left = [job for job in jobs.under_way() if not job.is_stopping]
        assert len(left) == 1
    run_until(app, lambda app: "Verdict on these maps" in texts(app))
    assert not app.exception
    app.slider("start_i").set_value(3).run()  # stopped before
    run_until(app, lambda app: "Verdict on these maps" in texts(app))
    assert not app.exception
