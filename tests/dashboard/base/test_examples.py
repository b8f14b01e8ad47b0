"""The examples in the docstrings of the ground floor run."""

import doctest
from importlib import import_module

import pytest


@pytest.mark.parametrize(
    "name", ["app_pages", "base.page", "base.session", "base.state", "base.charts"]
)
def test_examples_run(name: str) -> None:
    failed, tried = doctest.testmod(import_module(f"dashboard.{name}"))
    assert failed == 0
    assert tried > 0
