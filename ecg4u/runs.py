"""Unbroken stretches of what is known, drawn or meant."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def runs_of(mask: npt.NDArray[np.bool_]) -> list[slice]:
    """Each unbroken run of True in a mask (n,), in order."""
    edges = np.flatnonzero(np.diff(mask.astype(np.int8), prepend=0, append=0))
    return [slice(start, stop) for start, stop in edges.reshape(-1, 2).tolist()]
