"""Which links are new, and which the page itself wrote."""

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.base import links


def page() -> None:
    import streamlit as st

    from dashboard.base import links

    links.enter("retrieval")
    given = links.restore()
    st.session_state.given = given
    if given:
        st.session_state.query = given["query"]
    st.button("Explain", key="explain")
    view = {"query": st.session_state.query, "k": "5"}
    links.write(view | ({"why": "rsp.1"} if st.session_state.explain else {}))


def address(app: AppTest) -> dict[str, str]:
    return {n: v if isinstance(v, str) else v[0] for n, v in app.query_params.items()}


def opened() -> AppTest:
    app = AppTest.from_function(page)
    app.query_params["query"] = "red"
    app.run()
    assert app.session_state.given == {"query": "red"}
    assert address(app) == {"query": "red", "k": "5"}
    return app


def test_click_before_the_browser_got_the_written_link_is_no_new_link() -> None:
    app = opened()
    del app.query_params["k"]  # what the browser sends if it was clicked before the link arrived
    app.button[0].click().run()
    assert app.session_state.given == {}
    assert address(app) == {"query": "red", "k": "5", "why": "rsp.1"}
    app.run()
    assert app.session_state.given == {}
    assert address(app) == {"query": "red", "k": "5"}


def test_two_clicks_before_the_browser_got_the_written_links() -> None:
    app = opened()
    for _ in range(2):
        app.query_params.pop("why", None)
        del app.query_params["k"]
        app.button[0].click().run()
        assert app.session_state.given == {}
        assert address(app) == {"query": "red", "k": "5", "why": "rsp.1"}


def test_back_to_the_same_link_is_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened()
    monkeypatch.setattr(links, "_moves_in_history", lambda: True)
    del app.query_params["k"]
    app.run()
    assert app.session_state.given == {"query": "red"}


def test_link_that_was_cut_short_is_written_again(monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened()

    def interrupt(params: object, view: dict[str, str]) -> None:
        raise RuntimeError("a new run is wanted")

    with monkeypatch.context() as patch:
        patch.setattr(type(links.st.query_params), "from_dict", interrupt)
        app.button[0].click().run()
        assert "a new run is wanted" in app.exception[0].message
    app.button[0].click().run()
    assert address(app) == {"query": "red", "k": "5", "why": "rsp.1"}
