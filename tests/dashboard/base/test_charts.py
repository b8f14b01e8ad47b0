"""Charts as plotly gets them."""

import numpy as np
import pytest

from dashboard.base.charts import curves


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([0.3, 4.0], ["0.1", "0.2", "0.5", "1", "2", "5"]),
        ([0.0, np.nan, 40.0], ["10", "15", "20", "30", "40", "50", "70"]),
        ([0.0005, 800.0], ["0.0001", "0.001", "0.01", "0.1", "1", "10", "100"]),
    ],
)
def test_logarithmic_ticks_are_written_in_full(values: list[float], ticks: list[str]) -> None:
    line = ("RSP", "#000000", "solid", np.array(values))
    steps = np.arange(len(values), dtype=float)
    figure = curves([line], [], steps, 200, logarithmic=True)
    assert list(figure.layout.yaxis.ticktext) == ticks
    assert list(figure.layout.yaxis.tickvals) == pytest.approx([float(tick) for tick in ticks])
