"""Six limb leads are two signals: limb leads that are shown together mend each other.

Each lead is read with an error of its own. Where three or more limb leads (or, of the augmented
ones, with lead II) are shown at the same time, the two signals that fit them best by weighted
least squares err less than any of them (Einthoven et al. 1913; Goldberger 1942).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ecg4u.digitize.signals.confidence import reading_error_mm
from ecg4u.digitize.signals.signal import UNEXPLAINED_CONFIDENCE
from ecg4u.record import EINTHOVEN, LEADS, LIMB_LEADS

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

SURE, LOST = 2.5, 5.0
"""Contradictions below the first, in standard errors, are noise; above the second, mistakes."""
UNKNOWN_MV = 10.0
"""Error of a lead that tells nothing: beyond any ECG."""
FEWEST_KNOWN = 2
"""Limb leads from which the others follow."""


def made_of(names: Sequence[str]) -> Array:
    """Each lead (leads, k) as a combination of I, II and the chest leads among them."""
    free = list(dict.fromkeys(["I", "II", *(name for name in names if name not in EINTHOVEN)]))
    shares = [EINTHOVEN.get(name, {name: 1.0}) for name in names]
    return np.array([[share.get(lead, 0.0) for lead in free] for share in shares])


def reconciled(
    signal: Array,
    confidence: Array | None = None,
    *,
    gain_mm_per_mv: float = 10.0,
    speed_mm_per_s: float = 25.0,
) -> Array:
    """Twelve signals whose limb leads agree better with one another.

    What of a lead is hidden under another's waves, or was read beside ink that nothing explains,
    follows from the others. Where leads contradict each other by more than reading errors explain,
    one of them is mistaken; which, cannot be told, so all are left as they are. The level of each
    lead stays too.

    Parameters
    ----------
    signal : (n, 12) mV at 500 Hz, NaN where nothing is shown
    confidence : (n, 12), optional
        In [0, 1]; up to `UNEXPLAINED_CONFIDENCE` the height of a trace is anybody's guess.
    gain_mm_per_mv, speed_mm_per_s : float
        Of the limb leads on the page: what is read is as certain as its millimetres are.

    Returns
    -------
    (n, 12) mV, NaN where ``signal`` is.
    """
    moved = signal.copy()
    limb = [LEADS.index(lead) for lead in LIMB_LEADS]
    height_mm = signal[:, limb] * gain_mm_per_mv
    error = reading_error_mm(height_mm, speed_mm_per_s) / gain_mm_per_mv
    sure = np.ones(error.shape) if confidence is None else confidence[:, limb]
    guessed = sure <= UNEXPLAINED_CONFIDENCE
    code = np.isfinite(signal[:, limb]) @ (1 << np.arange(len(limb)))
    for pattern in np.unique(code):
        shown = np.flatnonzero((pattern >> np.arange(len(limb))) & 1)
        made = made_of(LIMB_LEADS)[shown]
        if len(shown) < 3 or np.linalg.matrix_rank(made) < 2:
            continue
        rows = np.flatnonzero(code == pattern)
        at = np.ix_(rows, np.array(limb)[shown])
        here = np.ix_(rows, shown)
        moved[at] += _correction(signal[at], error[here], guessed[here], made)
    return moved


def _correction(signal: Array, error: Array, guessed: Mask, made: Array) -> Array:
    """What brings (n, leads) nearer to combinations ``made`` (leads, 2) of two signals, mV.

    What is guessed follows from the others and does not change them.
    """
    level = np.median(signal @ (np.linalg.pinv(made).T @ made.T) - signal, axis=0)
    levelled = signal + level
    change, contradiction = _fitted(levelled, error, made)
    moved = change * _accepted(contradiction)
    known = len(made) - guessed.sum(axis=1)
    rows = np.flatnonzero((known >= FEWEST_KNOWN) & (known < len(made)))
    if len(rows):
        error = np.where(guessed[rows], UNKNOWN_MV, error[rows])
        change, contradiction = _fitted(levelled[rows], error, made)
        moved[rows] = np.where(guessed[rows], change * _accepted(contradiction), moved[rows])
    return moved


def _accepted(contradiction: Array) -> Array:
    """The share (n, 1) of a change that is made, by how far the leads contradict each other."""
    return np.asarray(np.clip((LOST - contradiction[:, None]) / (LOST - SURE), 0.0, 1.0))


def _fitted(levelled: Array, error: Array, made: Array) -> tuple[Array, Array]:
    """What least squares change (n, leads), and by how many standard errors in all (n,)."""
    weight = error**-2.0
    normal = np.einsum("ki,tk,kj->tij", made, weight, made)
    right = np.einsum("ki,tk->ti", made, weight * levelled)
    change = np.linalg.solve(normal, right[..., None])[..., 0] @ made.T - levelled
    return change, np.sqrt(((change / error) ** 2).sum(axis=1))
