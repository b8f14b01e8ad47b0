"""Pretext methods, and the losses of RSPNet: relative speed perception (RSP) and A-VID."""

from rspnet.pretext.losses import avid_logits, avid_loss, rsp_loss, rsp_margin
from rspnet.pretext.method import (
    Losses,
    PretextMethod,
    Step,
    list_methods,
    method_settings,
    register_method,
)
from rspnet.pretext.network import Embeddings, TwoBranch
from rspnet.pretext.rspnet import LossConfig, RSPNet

__all__ = [
    "Embeddings",
    "LossConfig",
    "Losses",
    "PretextMethod",
    "RSPNet",
    "Step",
    "TwoBranch",
    "avid_logits",
    "avid_loss",
    "list_methods",
    "method_settings",
    "register_method",
    "rsp_loss",
    "rsp_margin",
]
