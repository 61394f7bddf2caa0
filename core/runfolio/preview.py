"""What a preview of an artifact is: plain data that any front end can draw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Preview:
    """An artifact made ready for people.

    Attributes:
        kind: how to draw `content`.
        content: the bytes to draw: an image of `media_type`, UTF-8 text, an Arrow IPC stream for ``table``, Plotly
            JSON for ``plotly``, or HTML that is shown in a sandbox only.
        media_type: the media type of `content`.
        truncated: whether only the beginning is shown.
    """

    kind: Literal["image", "text", "table", "plotly", "html"]
    content: bytes
    media_type: str
    truncated: bool = False
