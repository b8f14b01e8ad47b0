"""RSP's maps minus A-VID's."""

from dataclasses import replace

import numpy as np

from analysis import ClipMap, Grid, KindMaps
from dashboard.overlays.view_model import difference_of


def maps(*values: float) -> tuple[ClipMap, ClipMap]:
    grid = Grid.even(cells=(1, 1, len(values)), clip=(4, 4, 4 * len(values)))
    made = ClipMap(np.array(values).reshape(1, 1, -1), 0.0, "rsp", "contribution", grid)
    return made, replace(made, values=-made.values)


def test_each_head_counts_by_its_shares() -> None:
    found = KindMaps(kind="contribution", rows={"rsp": maps(30, -10), "avid": maps(0, 0.2)})
    both = difference_of(found)
    assert both is not None
    np.testing.assert_allclose(both[0].values.ravel(), [0.75, -0.25 - 1])
    np.testing.assert_allclose(both[1].values.ravel(), [-0.75, 0.25 + 1])
    assert both[0].completeness_error is None


def test_there_is_none_without_two_maps_that_hold_something() -> None:
    one = KindMaps(kind="margin", rows={"avid": maps(1, 2)})
    empty = KindMaps(kind="margin", rows={"rsp": maps(0, 0), "avid": maps(1, 2)})
    assert difference_of(one) is None
    assert difference_of(empty) is None
