"""What encoders share: their first weights, and the smallest clips that they take."""

from torch import Tensor, nn


def initialise_convolutions(encoder: nn.Module) -> None:
    """Draw the weights of all 3D convolutions after He et al. (ICCV 2015), by fan-out.

    Weights without memory are left: drawing them would import PyTorch's compiler, for a second.
    """
    for module in encoder.modules():
        if isinstance(module, nn.Conv3d) and not module.weight.is_meta:
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def check_clips(name: str, clips_BCTHW: Tensor, min_frames: int, min_size: int) -> None:
    """Refuse clips that leave nothing to pool.

    Raises:
        ValueError: They have fewer frames, or fewer pixels a side.
    """
    frames, height, width = clips_BCTHW.shape[2:]
    if frames < min_frames or min(height, width) < min_size:
        raise ValueError(
            f"{name} takes clips of at least {min_frames} frames of {min_size} x {min_size} "
            f"pixels, got {frames} frames of {height} x {width}"
        )
