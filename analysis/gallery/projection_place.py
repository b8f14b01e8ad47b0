"""Where a video that is not of the gallery stands in the gallery's map.

``pca`` is linear: the video is projected onto the same axes, and a video of the gallery comes out
where the map has it. t-SNE and UMAP place only what they were made of. There a video goes to the
median place of its nearest videos, as Poličar et al. (2021), "Embedding to reference t-SNE space
addresses batch effects in single-cell classification", begin with.
"""

import numpy as np
from numpy.typing import NDArray

from analysis.gallery.neighbours import Floats, Space
from analysis.gallery.projection import Embedding, principal_axes

NUM_NEAREST = 10


def place(
    space: Space, made: Embedding, vectors_MD: NDArray[np.float32], num_nearest: int = NUM_NEAREST
) -> Floats:
    """Places of other videos in a map.

    Args:
        space: The gallery that the map is of.
        made: The map.
        vectors_MD: Of the other videos, by the same feature, at unit length.
        num_nearest: Nearest videos whose median place is taken where the map is not linear; of
            fewer videos all.

    Returns:
        (M, 2), in the units of the map.

    Raises:
        ValueError: The map is of other videos, or the vectors have another length.
    """
    if made.name != space.name or made.paths != tuple(map(str, space.paths)):
        raise ValueError(
            f"the map of {len(made.paths)} videos by {made.name} is not of these "
            f"{len(space)} videos by {space.name}: give the gallery that it was made of"
        )
    if vectors_MD.ndim != 2 or vectors_MD.shape[1] != space.vectors.shape[1]:
        raise ValueError(
            f"vectors by {space.name} are (M, {space.vectors.shape[1]}), got {vectors_MD.shape}"
        )
    if made.method == "pca":
        mean_D, axes_D2, _ = principal_axes(space.vectors)
        return (vectors_MD.astype(np.float64) - mean_D) @ axes_D2
    similarity_MN = vectors_MD @ space.vectors.T
    nearest_MK = np.argsort(-similarity_MN, axis=1, kind="stable")[:, : max(1, num_nearest)]
    found: Floats = np.median(made.points[nearest_MK], axis=1)
    return found
