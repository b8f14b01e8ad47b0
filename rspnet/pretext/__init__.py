"""The pretext tasks: relative speed perception (RSP) and instance discrimination (A-VID)."""

from rspnet.pretext.losses import avid_logits, avid_loss, rsp_loss, rsp_margin
from rspnet.pretext.network import Embeddings, TwoBranch

__all__ = ["Embeddings", "TwoBranch", "avid_logits", "avid_loss", "rsp_loss", "rsp_margin"]
