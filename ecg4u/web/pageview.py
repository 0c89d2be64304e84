"""What the browser needs of a page to show it with its traces and have it corrected."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

MAX_SIDE_PX = 2400
WEBP_QUALITY = 75
SHOWN = ("page", "corners", "calibration", "layout", "segments", "warnings")


def page_view(sidecar: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a sidecar (`Sidecar.to_dict`) that is shown and can be corrected.

    ``layouts`` beside it are the names of those that a page with so many rows may have.
    """
    from ecg4u.paper.layouts import LAYOUTS

    n_rows = len({segment["row"] for segment in sidecar["segments"]})
    fitting = [name for name, layout in LAYOUTS.items() if len(layout.rows) == n_rows]
    return {**{name: sidecar[name] for name in SHOWN if name in sidecar}, "layouts": fitting}


def picture(image: npt.NDArray[np.uint8]) -> bytes:
    """``image`` (H, W, 3) as WebP, at most `MAX_SIDE_PX` long, with no metadata."""
    from PIL import Image

    shown = Image.fromarray(image)
    scale = min(1.0, MAX_SIDE_PX / max(shown.size))
    if scale < 1:
        width, height = (max(1, round(side * scale)) for side in shown.size)
        shown = shown.resize((width, height), Image.Resampling.BOX)
    stream = io.BytesIO()
    shown.save(stream, format="WEBP", quality=WEBP_QUALITY, method=0)
    return stream.getvalue()
