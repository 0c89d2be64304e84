"""Where on the trace a finding can be seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ecg4u.explain.result import Beat, Evidence, Features
from ecg4u.explain.signals import FS_HZ
from ecg4u.record import LEADS

RHYTHM_ORDER = ("II", "V1", "V5", "I", "aVF", "V2", "III", "V6", "V4", "V3", "aVL", "aVR")
"""Leads in the order in which one looks at the rhythm."""


@dataclass(frozen=True, eq=False)
class Places:
    """The stretches that the page shows, and the beats on it."""

    known: npt.NDArray[np.bool_]
    """(n, 12) at 500 Hz."""
    features: Features

    def shown(self, lead: str, start_s: float, end_s: float) -> bool:
        """Whether most of this stretch of the lead is known."""
        a, b = max(round(start_s * FS_HZ), 0), round(end_s * FS_HZ) + 1
        part = self.known[a:b, LEADS.index(lead)]
        return len(part) > 0 and float(part.mean()) > 0.9

    def rhythm_lead(self) -> str | None:
        """The lead that shows most of the record; II first among equals."""
        share = {lead: self.known[:, LEADS.index(lead)].mean() for lead in RHYTHM_ORDER}
        best = max(share, key=lambda lead: float(share[lead]))
        return best if share[best] > 0 else None

    def beat(self, beat: Beat, lead: str | None = None, *, pad_s: float = 0.05) -> Evidence:
        """The QRS of a beat, in ``lead`` or in the lead best fit to see it."""
        start, end = beat.onset_s - pad_s, beat.offset_s + pad_s
        if lead is None:
            lead = next((name for name in RHYTHM_ORDER if self.shown(name, start, end)), None)
        return Evidence(lead, round(max(start, 0.0), 3), round(end, 3))

    def wave(self, lead: str, first: str, last: str, *, pad_s: float = 0.0) -> tuple[Evidence, ...]:
        """The first usual beat's stretch between two boundaries, as shown in ``lead``."""
        waves = self.features.waves_s
        start, end = waves.get(first), waves.get(last)
        if start is None or end is None:
            return ()
        for beat in self.features.beats:
            a, b = beat.r_s + start - pad_s, beat.r_s + end + pad_s
            if beat.kind == "usual" and self.shown(lead, a, b):
                return (Evidence(lead, round(max(a, 0.0), 3), round(b, 3)),)
        return ()

    def waves(
        self, leads: Sequence[str], first: str, last: str, *, pad_s: float = 0.0
    ) -> tuple[Evidence, ...]:
        """`wave` of several leads."""
        return tuple(place for lead in leads for place in self.wave(lead, first, last, pad_s=pad_s))

    def any_wave(self, first: str, last: str) -> tuple[Evidence, ...]:
        """The same in the first lead, in rhythm order, that shows it."""
        for lead in RHYTHM_ORDER:
            found = self.wave(lead, first, last)
            if found:
                return found
        return ()

    def span(self, lead: str | None, start_s: float, end_s: float) -> tuple[Evidence, ...]:
        """A stretch of ``lead``, where the page shows most of it."""
        if lead is None or not self.shown(lead, start_s, end_s):
            return ()
        return (Evidence(lead, round(start_s, 3), round(end_s, 3)),)

    def strip(self) -> tuple[Evidence, ...]:
        """The rhythm lead over its whole length."""
        lead = self.rhythm_lead()
        if lead is None:
            return ()
        shown = np.flatnonzero(self.known[:, LEADS.index(lead)])
        return (Evidence(lead, round(shown[0] / FS_HZ, 3), round((shown[-1] + 1) / FS_HZ, 3)),)
