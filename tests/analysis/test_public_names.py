"""Names of the package are there, and nothing heavy is imported before one is used."""

import subprocess
import sys
from pathlib import Path

import pytest

import analysis

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", analysis.__all__)
def test_public_names_are_there_and_documented(name: str) -> None:
    found = getattr(analysis, name)
    assert found.__doc__
    assert found.__module__.startswith("analysis.")


def test_names_are_sorted_and_known() -> None:
    assert analysis.__all__ == sorted(analysis.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = analysis.nothing


def test_importing_the_package_imports_no_torch() -> None:
    code = "import sys, analysis; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
