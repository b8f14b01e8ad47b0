"""How new encoders begin."""

from torch import nn


def initialise_convolutions(encoder: nn.Module) -> None:
    """Draw the weights of all 3D convolutions after He et al. (ICCV 2015), by fan-out."""
    for module in encoder.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
