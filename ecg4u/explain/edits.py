"""The same ECG with one measured thing changed: PR shortened, QRS narrowed, early beats replaced.

Each edit takes (n, 12) mV at 500 Hz with NaN where nothing is shown, and gives the same shape; it
shows nothing that the record does not show.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ecg4u.explain.beats import MedianBeat
from ecg4u.explain.result import Beat, BeatKind, Features
from ecg4u.explain.signals import FS_HZ
from ecg4u.record import LEADS
from ecg4u.runs import runs_of

NORMAL_PR_MS, NARROW_QRS_MS, P_S = 160.0, 95.0, 0.1
"""PR, QRS and P of a heart at rest, amid the normal ranges: what an edit makes of another."""
SINUS_P_MV = dict(zip(
    LEADS, (0.08, 0.15, 0.07, -0.12, 0.01, 0.11, 0.06, 0.07, 0.08, 0.08, 0.08, 0.08), strict=True
))  # fmt: skip
"""A P wave of usual size with an axis of 57 degrees."""
RIGID_S = 0.1
"""Around each R peak, not stretched when the rhythm is made regular."""
LONG_GAP = 1.5
"""Of the usual interval, from which a gap gets a beat; by eye."""

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Subject:
    """What an edit works on."""

    signal: FloatArray
    features: Features
    median: MedianBeat


Edit = Callable[[Subject], FloatArray | None]


def warped(signal: FloatArray, new_s: Sequence[float], old_s: Sequence[float]) -> FloatArray:
    """The signal with moments ``old_s`` moved to ``new_s`` (both ascending), linear between."""
    last = len(signal) - 1
    new = np.concatenate([[0.0], np.asarray(new_s) * FS_HZ, [last]])
    old = np.concatenate([[0.0], np.asarray(old_s) * FS_HZ, [last]])
    keep = np.concatenate([[True], (np.diff(new) > 0.5) & (np.diff(old) > 0.5)])
    source = np.clip(np.interp(np.arange(len(signal)), new[keep], old[keep]), 0, last)
    low = np.floor(source).astype(int)
    share = (source - low)[:, None]
    high = np.minimum(low + 1, last)
    return np.where(share == 0, signal[low], signal[low] * (1 - share) + signal[high] * share)


def normal_pr(subject: Subject) -> FloatArray | None:
    """P waves moved towards (or from) the QRS until PR is 160 ms."""
    waves, pr = subject.features.waves_s, subject.features.value("pr")
    on, off, qrs = (waves.get(k) for k in ("P on", "P off", "QRS on"))
    if pr is None or on is None or off is None or qrs is None:
        return None
    move = (pr - NORMAL_PR_MS) / 1000
    room = max(qrs - off - 0.01, 0.0)
    squeeze = max(move - room, 0.0)
    new: list[float] = []
    old: list[float] = []
    before = -np.inf
    for beat in subject.features.beats:
        start, end, q = (beat.r_s + x for x in (on, off, qrs))
        if beat.kind == "usual" and start - 0.08 > before and start > 0.08:
            old += [start - 0.08, start, end, q]
            new += [start - 0.08, start + move, end + move - squeeze, q]
        before = beat.r_s + 0.2
    return warped(subject.signal, new, old)


def narrow_qrs(subject: Subject) -> FloatArray | None:
    """Every QRS compressed about its middle to 95 ms."""
    width = subject.features.value("qrs")
    if width is None or width <= NARROW_QRS_MS:
        return None
    cut = (width - NARROW_QRS_MS) / 2000
    new: list[float] = []
    old: list[float] = []
    on, off = (subject.features.waves_s.get(k) for k in ("QRS on", "QRS off"))
    if on is None or off is None:
        return None
    for beat in subject.features.beats:
        a, b = beat.r_s + on, beat.r_s + off
        old += [a - 0.06, a, b, b + 0.1]
        new += [a - 0.06, a + cut, b - cut, b + 0.1]
    return _ascending(subject.signal, new, old)


def regular_rhythm(subject: Subject) -> FloatArray | None:
    """Complexes moved to equal distances; what lies between is stretched."""
    r = np.array([b.r_s for b in subject.features.beats])
    if len(r) < 4:
        return None
    even = np.linspace(r[0], r[-1], len(r))
    old = np.stack([r - RIGID_S, r + RIGID_S], axis=1).ravel()
    new = np.stack([even - RIGID_S, even + RIGID_S], axis=1).ravel()
    return _ascending(subject.signal, new.tolist(), old.tolist())


def with_p_waves(subject: Subject) -> FloatArray | None:
    """Sinus P waves put 160 ms before each QRS."""
    onset = subject.features.waves_s.get("QRS on")
    if onset is None:
        return None
    t = np.arange(len(subject.signal)) / FS_HZ
    shape = np.zeros(len(t))
    for beat in subject.features.beats:
        phase = (t - (beat.r_s + onset - NORMAL_PR_MS / 1000)) / P_S
        shape += np.where((phase > 0) & (phase < 1), 0.5 - 0.5 * np.cos(2 * np.pi * phase), 0.0)
    return subject.signal + np.outer(shape, [SINUS_P_MV[lead] for lead in LEADS])


def sinus_rhythm(subject: Subject) -> FloatArray | None:
    """P waves before every QRS, and the rhythm regular."""
    regular = regular_rhythm(subject)
    if regular is None:
        return None
    from dataclasses import replace

    r = [b.r_s for b in subject.features.beats]
    even = np.linspace(r[0], r[-1], len(r))
    beats = tuple(
        replace(b, r_s=float(e)) for b, e in zip(subject.features.beats, even, strict=True)
    )
    return with_p_waves(Subject(regular, replace(subject.features, beats=beats), subject.median))


def level_st(subject: Subject) -> FloatArray | None:
    """The ST level of each lead taken off from J on, fading out over the T wave."""
    end, t_end = (subject.features.waves_s.get(k) for k in ("QRS off", "T off"))
    if end is None:
        return None
    fade = max((t_end or end + 0.25) - end, 0.12)
    t = np.arange(len(subject.signal)) / FS_HZ
    shape = np.zeros(len(t))
    for beat in subject.features.beats:
        after = t - beat.r_s - end
        rise = np.clip(1 + after / 0.02, 0, 1)
        fall = np.clip((fade - after) / (fade - 0.08), 0, 1)
        shape = np.maximum(shape, np.where(after < 0.08, rise, fall) * (after < fade))
    levels = [subject.features.lead_value(lead, "st60") or 0.0 for lead in LEADS]
    return subject.signal - np.outer(shape, levels)


def without(kind: BeatKind) -> Edit:
    """Early beats of ``kind`` replaced by usual beats in time."""

    def edit(subject: Subject) -> FloatArray | None:
        beats = subject.features.beats
        early = np.array([b.kind == kind for b in beats], dtype=bool)
        if not early.any() or not subject.features.rr_s:
            return None
        signal = subject.signal.copy()
        whole = _Spliced(signal, subject.median, float(np.median(subject.features.rr_s)))
        for run in runs_of(early):
            whole.instead_of(beats, run.start, run.stop)
        return np.where(np.isfinite(subject.signal), signal, np.nan)

    return edit


def as_usual(subject: Subject) -> FloatArray:
    """The record with every beat replaced by its usual one: unusual beats in time, others in place.

    A gap longer than `LONG_GAP` usual intervals gets usual beats too: a pause is unusual, and a
    smooth wide beat that was overlooked lies in one. Leads of which no whole usual beat is shown
    stay as they are.
    """
    signal = subject.signal.copy()
    beats = subject.features.beats
    regular = np.array([b.kind == "usual" for b in beats], dtype=bool)
    rr = np.array(subject.features.rr_s)
    if not len(rr):
        return signal
    both = regular[:-1] & regular[1:]
    usual = float(np.median(rr[both] if both.any() else rr))
    known = np.asarray(np.isfinite(subject.median.signal).all(axis=0))
    whole = _Spliced(signal, subject.median, usual)
    around = np.concatenate([[usual], rr, [usual]])
    for at in np.flatnonzero(regular):
        whole.in_place(beats[at].r_s, around[at], around[at + 1])
        if around[at + 1] > LONG_GAP * usual:
            whole.between(beats[at].r_s, beats[at].r_s + around[at + 1])
    for run in runs_of(~regular):
        whole.instead_of(beats, run.start, run.stop)
    keep = np.isfinite(subject.signal) & known[None]
    return np.where(keep, signal, subject.signal)


@dataclass(frozen=True, eq=False)
class _Spliced:
    """A signal into which usual beats are laid, changed in place."""

    signal: FloatArray
    median: MedianBeat
    usual_s: float

    def in_place(self, r_s: float, before_s: float, after_s: float) -> None:
        """The usual beat where a usual beat stands, between its neighbours so far away."""
        self._lay(round(r_s * FS_HZ), min(0.22, 0.35 * before_s), min(0.45, 0.6 * after_s))

    def instead_of(self, beats: Sequence[Beat], first: int, end: int) -> None:
        """Usual beats in the place of those from ``first`` to before ``end``."""
        before = beats[first - 1].r_s if first else beats[0].r_s - self.usual_s
        after = beats[end].r_s if end < len(beats) else beats[-1].r_s + self.usual_s
        self.between(before, after)

    def between(self, before_s: float, after_s: float) -> None:
        """A line from after one beat to before another, usual beats upon it at equal distances."""
        a = round((before_s + min(0.45, 0.55 * self.usual_s)) * FS_HZ)
        b = round((after_s - 0.22) * FS_HZ)
        a, b = max(a, 0), min(b, len(self.signal) - 1)
        if b - a < 10:
            return
        line = _line(self.signal, a, b)
        self.signal[a:b] = np.where(np.isfinite(self.signal[a:b]), line, self.signal[a:b])
        count = max(round((after_s - before_s) / self.usual_s), 1)
        for r_s in np.linspace(before_s, after_s, count + 1)[1:-1]:
            self._lay(round(r_s * FS_HZ), 0.22, min(0.45, 0.55 * self.usual_s))

    def _lay(self, r: int, before_s: float, after_s: float) -> None:
        a, b = r - round(before_s * FS_HZ), r + round(after_s * FS_HZ)
        first, a, b = a, max(a, 0), min(b, len(self.signal))
        if b - a < 10:
            return
        start = self.median.centre - (r - first) + (a - first)
        beat = self.median.signal[start : start + b - a]
        b = a + len(beat)
        level = _line(self.signal, a, b)
        beat = beat - np.linspace(beat[0], beat[-1], len(beat)) + level
        self.signal[a:b] = np.where(np.isfinite(beat), beat, self.signal[a:b])


def _line(signal: FloatArray, a: int, b: int) -> FloatArray:
    """(b - a, leads): a straight line between the levels about ``a`` and about ``b``."""
    ends = []
    for at in (a, b):
        part = signal[max(at - 3, 0) : at + 4]
        known = np.isfinite(part)
        ends.append(np.where(known, part, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1))
    ramp = np.linspace(0, 1, b - a)[:, None]
    return ends[0] * (1 - ramp) + ends[1] * ramp


def _ascending(signal: FloatArray, new: list[float], old: list[float]) -> FloatArray:
    """`warped`, knots that would run backwards (complexes too close) left out."""
    kept_new: list[float] = []
    kept_old: list[float] = []
    for a, b in zip(new, old, strict=True):
        late = (kept_new[-1], kept_old[-1]) if kept_new else (0.0, 0.0)
        if a > late[0] and b > late[1]:
            kept_new.append(a)
            kept_old.append(b)
    return warped(signal, kept_new, kept_old)
