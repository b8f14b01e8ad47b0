"""A wheel is built, installed beside nothing of the repository, and used from another folder."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("rspnet", "analysis", "dashboard", "checkpoints")
pytestmark = pytest.mark.skipif(
    not (find_spec("pip") and find_spec("setuptools")), reason="needs pip and setuptools"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the wheel is installed into, without its dependencies and without a network."""
    source, wheels, site = (tmp_path_factory.mktemp(name) for name in ("source", "wheels", "site"))
    for name in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    for name in ("pyproject.toml", "requirements.txt", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    alone = ["--no-deps", "--no-index"]
    subprocess.run(
        [*pip, "wheel", *alone, "--no-build-isolation", "-w", str(wheels), str(source)], check=True
    )
    (wheel,) = wheels.glob("rspnet-*.whl")
    subprocess.run([*pip, "install", *alone, "--target", str(site), str(wheel)], check=True)
    return site


def run(site: Path, place: Path, *words: str) -> str:
    """What a command prints that is run in another folder."""
    environment = os.environ | {"PYTHONPATH": str(site), "RSPNET_CACHE": str(place / "cache")}
    done = subprocess.run(
        words, cwd=place, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_commands_are_listed(site, tmp_path):
    listed = run(site, tmp_path, sys.executable, "-m", "rspnet")
    assert run(site, tmp_path, str(site / "bin" / "rspnet"), "--help") == listed
    assert "\n  doctor " in listed
    assert "\n  maps " in run(site, tmp_path, str(site / "bin" / "rspnet-analysis"))


def test_doctor_finds_the_shipped_model_and_the_requirements_of_the_wheel(site, tmp_path):
    said = run(site, tmp_path, str(site / "bin" / "rspnet"), "doctor", "default")
    assert said.endswith("all is well\n")
    assert f"  ok    {'default':24}  resnet18_fine, " in said
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        if line[:1].isalpha() and ";" not in line:
            assert f"  {line.split('>')[0].split('[')[0]}  " in said
    where = "import rspnet, analysis, dashboard; print(rspnet.__file__, dashboard.__file__)"
    files = run(site, tmp_path, sys.executable, "-c", where).split()
    assert all(Path(file).is_relative_to(site) for file in files)


def test_everything_that_is_no_code_is_in_it(site):
    for package in PACKAGES:
        here = {path.relative_to(ROOT) for path in (ROOT / package).rglob("*") if path.is_file()}
        missing = {
            path for path in here if not (site / path).exists() and "__pycache__" not in path.parts
        }
        assert {path.suffix for path in missing} <= {".md"}, missing
