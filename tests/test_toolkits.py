"""Other tools take a score as the page ``docs/howto/toolkits.md`` says: its code runs here."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

PAGE = Path(__file__).parents[1] / "docs" / "howto" / "toolkits.md"


def run(*tools):
    """The names that the page's blocks of code make, those of other tools left out."""
    found = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL):
        if any(f"import {tool}" in block or f"from {tool}" in block for tool in tools):
            exec(block, found)
    return found


def test_captum_takes_a_score():
    made = run("captum")
    clip, score = made["clip"], made["score"]
    (expected,) = torch.autograd.grad(score(clip).sum(), clip)
    torch.testing.assert_close(made["pixels"], expected.abs())
    assert made["pixels"].shape == clip.shape
    assert made["pixels"].max() > 0


def test_captums_integrated_gradients_of_a_score_come_to_its_change():
    from captum.attr import IntegratedGradients

    made = run("captum")
    clip, score = made["clip"].detach(), made["score"]
    found = IntegratedGradients(score).attribute(clip, baselines=0.9 * clip, n_steps=64)
    change = score(clip) - score(0.9 * clip)
    assert found.sum().item() == pytest.approx(change.item(), abs=1e-3)


def test_quantus_takes_a_score():
    pytest.importorskip("quantus", reason="pip install --no-deps quantus")
    made = run("captum", "quantus")
    (correlation,) = made["correlation"]
    assert -1 <= correlation <= 1
    # The picture is the clip: one output, the score itself.
    output = made["model"](torch.from_numpy(made["picture"]))
    torch.testing.assert_close(output[:, 0], made["score"](made["clip"].detach()))
    cells = np.unique(made["exact"].values.astype(np.float32))
    np.testing.assert_array_equal(np.unique(made["attribution"]), cells)
