"""Where the cells of an encoder's features lie in the clip."""

from collections.abc import Sequence
from dataclasses import dataclass

Place = tuple[float, float, float]


@dataclass(frozen=True)
class CellGeometry:
    """Centres of the cells of a feature map, for (time, height, width).

    Cell p has its centre at ``first + stride * p``, in frames and pixels, where 0 is the first
    frame and the centre of the first pixel. A network of odd kernels with symmetric padding has
    ``first`` 0; patches of n pixels without overlap have (n - 1) / 2.

    Attributes:
        stride: From one cell to the next.
        first: Centre of the first cell.

    Example:
        >>> CellGeometry().then((3, 7, 7), (1, 2, 2), (1, 3, 3))
        CellGeometry(stride=(1.0, 2.0, 2.0), first=(0.0, 0.0, 0.0))
    """

    stride: Place = (1.0, 1.0, 1.0)
    first: Place = (0.0, 0.0, 0.0)

    def then(
        self, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int]
    ) -> "CellGeometry":
        """The cells after one more convolution or pool, all given for (time, height, width)."""
        offsets = [(k - 1) / 2 - p for k, p in zip(kernel, padding, strict=True)]
        firsts = [f + s * o for f, s, o in zip(self.first, self.stride, offsets, strict=True)]
        strides = [a * b for a, b in zip(self.stride, stride, strict=True)]
        return CellGeometry((strides[0], strides[1], strides[2]), (firsts[0], firsts[1], firsts[2]))
