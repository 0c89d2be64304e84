"""Six limb leads are two signals: limb leads that are shown together mend each other.

Each lead is read with an error of its own. Where three or more limb leads (or, of the augmented
ones, with lead II) are shown at the same time, the two signals that fit them best by weighted
least squares err less than any of them (Einthoven et al. 1913; Goldberger 1942).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ecg4u.digitize.signals.confidence import reading_error_mm
from ecg4u.digitize.signals.signal import UNEXPLAINED_CONFIDENCE
from ecg4u.record import EINTHOVEN, LEADS, LIMB_LEADS

Array = npt.NDArray[np.float64]

SURE, LOST = 2.5, 5.0
"""Contradictions below the first, in standard errors, are noise; above the second, mistakes."""
FEWEST_TO_TELL = 4
"""Limb leads shown together from which one that contradicts the others can be told."""
UNKNOWN_MV = 10.0
"""Error of a lead that tells nothing: beyond any ECG."""
GUESSED_MM = 10.0
"""Error of a height that is anybody's guess: half the usual distance of rows, of one sd."""


def _of_i_and_ii() -> Array:
    """Each limb lead as a combination of I and II, (6, 2)."""
    given = {"I": {"I": 1.0}, "II": {"II": 1.0}, **EINTHOVEN}
    return np.array([[given[lead].get(name, 0.0) for name in ("I", "II")] for lead in LIMB_LEADS])


def reconciled(
    signal: Array,
    confidence: Array | None = None,
    *,
    gain_mm_per_mv: float = 10.0,
    speed_mm_per_s: float = 25.0,
) -> Array:
    """Twelve signals whose limb leads agree better with one another.

    What of a lead is hidden under another's waves, or was read beside ink that nothing explains,
    follows from the others. Where leads contradict each other by more than reading errors explain
    and nothing tells which of them is mistaken, all are left as they are. The level of each lead
    stays too.

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
    if confidence is not None:
        guessed = confidence[:, limb] <= UNEXPLAINED_CONFIDENCE
        error[guessed] = np.maximum(error[guessed], GUESSED_MM / gain_mm_per_mv)
    code = np.isfinite(signal[:, limb]) @ (1 << np.arange(len(limb)))
    for pattern in np.unique(code):
        shown = np.flatnonzero((pattern >> np.arange(len(limb))) & 1)
        made = _of_i_and_ii()[shown]
        if len(shown) < 3 or np.linalg.matrix_rank(made) < 2:
            continue
        rows = np.flatnonzero(code == pattern)
        at = np.ix_(rows, np.array(limb)[shown])
        moved[at] += _correction(signal[at], error[np.ix_(rows, shown)], made)
    return moved


def _correction(signal: Array, error: Array, made: Array) -> Array:
    """What brings (n, leads) nearer to combinations ``made`` (leads, 2) of two signals, mV."""
    level = np.median(signal @ (np.linalg.pinv(made).T @ made.T) - signal, axis=0)
    levelled = signal + level
    change, contradiction = _fitted(levelled, error, made)
    wrong = np.flatnonzero(contradiction > LOST)
    if len(made) >= FEWEST_TO_TELL and len(wrong):
        error = error.copy()
        error[wrong] = _without_liar(levelled[wrong], error[wrong], made)
        change, contradiction = _fitted(levelled, error, made)
    return change * np.clip((LOST - contradiction[:, None]) / (LOST - SURE), 0.0, 1.0)


def _fitted(levelled: Array, error: Array, made: Array) -> tuple[Array, Array]:
    """What least squares change (n, leads), and by how many standard errors in all (n,)."""
    weight = error**-2.0
    normal = np.einsum("ki,tk,kj->tij", made, weight, made)
    right = np.einsum("ki,tk->ti", made, weight * levelled)
    change = np.linalg.solve(normal, right[..., None])[..., 0] @ made.T - levelled
    return change, np.sqrt(((change / error) ** 2).sum(axis=1))


def _without_liar(levelled: Array, error: Array, made: Array) -> Array:
    """The errors (n, leads), that of the one lead without which the others agree made unknown."""
    left = np.full(error.shape, np.inf)
    for lead in range(len(made)):
        others = np.delete(np.arange(len(made)), lead)
        if np.linalg.matrix_rank(made[others]) == made.shape[1]:
            left[:, lead] = _fitted(levelled[:, others], error[:, others], made[others])[1]
    liar = left.argmin(axis=1)
    at = np.arange(len(left))
    rivals = left.copy()
    rivals[at, liar] = np.inf
    told = (left[at, liar] < SURE) & (rivals.min(axis=1) > LOST)
    error = error.copy()
    error[at[told], liar[told]] = UNKNOWN_MV
    return error
