"""Where the cells of an encoder's features lie in the clip."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CellGeometry:
    """Centres of the cells of a feature map, for (time, height, width).

    Cell p has its centre at ``first + stride * p``, in frames and pixels, where 0 is the first
    frame and the centre of the first pixel. A network of odd kernels with symmetric padding has
    ``first`` 0; patches of n pixels without overlap have (n - 1) / 2.

    Attributes:
        stride: From one cell to the next.
        first: Centre of the first cell.
    """

    stride: tuple[float, float, float]
    first: tuple[float, float, float] = (0.0, 0.0, 0.0)
