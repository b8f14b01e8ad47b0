"""Video files: exact frames by index, and H.264 written."""

from rspnet.data.video.checks import VideoError
from rspnet.data.video.reader import VideoReader

__all__ = ["VideoError", "VideoReader"]
