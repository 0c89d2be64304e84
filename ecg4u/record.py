"""`ECGRecord`: twelve leads in millivolts, with NaN wherever the page showed nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from ecg4u import exchange
from ecg4u.arguments import check_kind, check_number, wrong
from ecg4u.errors import InvalidRecordError
from ecg4u.options import OLDEST_YEARS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]

LIMB_LEADS = ("I", "II", "III", "aVR", "aVL", "aVF")
CHEST_LEADS = ("V1", "V2", "V3", "V4", "V5", "V6")
LEADS = LIMB_LEADS + CHEST_LEADS
"""The twelve leads in the conventional order."""
CABRERA = ("aVL", "I", "aVR", "II", "aVF", "III", *CHEST_LEADS)
"""The limb leads in the order of their axes; aVR is drawn as it is, not turned over."""
EXTRA_LEADS = ("V7", "V8", "V9", "V3R", "V4R", "V5R", "V6R")
"""Leads of the back and of the right side, which a page may show beside the twelve."""

Doubtful = Literal["scale", "names", "columns"]
DOUBTFUL: tuple[Doubtful, ...] = ("scale", "names", "columns")
"""What of a page may be wrong altogether: its millimetres, its leads' names, where leads begin."""
DOUBTFUL_KEY = "doubtful"
"""Under which a record's provenance lists what of its page may be."""

CLASSES = ("Normal", "AF", "I-AVB", "LBBB", "RBBB", "PAC", "PVC", "STD", "STE")
"""The nine classes of ICBEB-2018 (CPSC-2018), in the order of every vector of this package."""

DEFAULT_FS_HZ = 500.0
MIN_FS_HZ, MAX_FS_HZ = 10.0, 100_000.0
"""Below, not even the heart rate can be told; above, no electrocardiograph samples."""
MAX_SAMPLES = 2_000_000
MAX_DURATION_S = 4_000.0
"""More than an hour at 500 Hz, which is 200 MB as float64; a longer recording is cut first."""
MAX_ABS_MV = 10_000.0
"""No amplifier for electrodes on the skin goes beyond 10 V, whatever offset it meets."""

EINTHOVEN: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "III": {"II": 1.0, "I": -1.0},
        "aVR": {"I": -0.5, "II": -0.5},
        "aVL": {"I": 1.0, "II": -0.5},
        "aVF": {"II": 1.0, "I": -0.5},
    }
)
"""Each derived limb lead as a combination of I and II (Einthoven 1913, Goldberger 1942)."""


@dataclass(frozen=True)
class Provenance:
    """Where a record comes from; contains no text from the page and no person's name.

    ``kind`` is ``"digitized"`` (read from a page), ``"digital"`` (a signal file) or ``"array"``.
    ``inferred`` names what was assumed rather than read, e.g. ``"paper speed 25 mm/s"``.
    """

    kind: Literal["digitized", "digital", "array"] = "array"
    source_sha256: str = ""
    inferred: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class ECGRecord:
    """A 12-lead ECG.

    Parameters
    ----------
    p_signal : (n_samples, 12) float64
        Millivolts; NaN where nothing is known. Columns follow ``sig_name``.
    fs : float
        Sampling frequency in Hz.
    sig_name : tuple of str
        Lead names, by default `LEADS`.
    confidence : (n_samples, 12) float64 or None
        Per-sample confidence in [0, 1] of a digitized record; None for a digital one.
    age, sex
        Years and ``"F"`` / ``"M"`` where known; some criteria depend on them.
    warnings : tuple of str
        Warnings from reading the page; empty for a digital record.

    Raises
    ------
    InvalidRecordError
        (Also a ValueError.) If shapes and names do not match, or a value is impossible for an
        ECG: ``fs`` outside 10 to 100,000 Hz, infinite samples or any beyond 10 V, more
        than 2,000,000 samples per lead or 4,000 s, confidence outside 0 to 1, age outside 0 to 130.
    """

    p_signal: FloatArray
    fs: float = DEFAULT_FS_HZ
    sig_name: tuple[str, ...] = LEADS
    units: str = "mV"
    confidence: FloatArray | None = None
    provenance: Provenance = field(default_factory=Provenance)
    age: float | None = None
    sex: Literal["F", "M"] | None = None
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        signal = _samples(self.p_signal)
        if signal.ndim != 2 or signal.shape[1] != len(self.sig_name) or signal.shape[0] == 0:
            raise _invalid(f"p_signal must be (samples, {len(self.sig_name)}), got {signal.shape}")
        if tuple(self.sig_name) != LEADS:
            raise _invalid(f"sig_name must be {LEADS}; use ECGRecord.from_leads for other orders")
        check_rate_and_length(self.fs, len(signal))
        highest, lowest = np.nanmax(signal, initial=0.0), np.nanmin(signal, initial=0.0)
        if not max(highest, -lowest) <= MAX_ABS_MV:
            raise _invalid(
                f"samples beyond {MAX_ABS_MV / 1000:g} V cannot be an ECG",
                "Check their unit and gain; NaN marks what is not known.",
            )
        if self.age is not None:
            check_number("age", self.age, "Give years, or leave it out if not known.")
        if self.sex not in (None, "F", "M"):
            raise _invalid("sex must be F or M", "Leave it out if not known.")
        if self.age is not None and not 0 <= self.age <= OLDEST_YEARS:
            raise _invalid(f"age must be from 0 to {OLDEST_YEARS} years")
        signal.setflags(write=False)
        object.__setattr__(self, "p_signal", signal)
        if self.confidence is not None:
            confidence = np.array(self.confidence, dtype=np.float64)
            if confidence.shape != signal.shape:
                raise _invalid("confidence must have the shape of p_signal")
            if ((confidence < 0) | (confidence > 1)).any():
                raise _invalid("confidence must be from 0 to 1")
            confidence.setflags(write=False)
            object.__setattr__(self, "confidence", confidence)

    @classmethod
    def from_leads(cls, leads: Mapping[str, npt.ArrayLike], fs: float, **fields: Any) -> ECGRecord:
        """Build a record from a mapping of lead name to samples; absent leads become NaN.

        Names are matched without regard to case. All given leads must have the same length.
        """
        by_name = {name.casefold(): name for name in LEADS}
        check_kind("leads", leads, Mapping, 'For instance {"I": samples_mv}.')
        arrays: dict[str, FloatArray] = {}
        for given, values in leads.items():
            name = by_name.get(given.casefold())
            if name is None:
                raise _invalid(f"{given!r} is not one of the twelve leads")
            arrays[name] = _samples(values)
        lengths = {len(values) for values in arrays.values()}
        if len(lengths) != 1:
            raise _invalid(f"leads must share one length, got {sorted(lengths)}")
        n_samples = lengths.pop()
        check_rate_and_length(fs, n_samples)
        signal = np.full((n_samples, len(LEADS)), np.nan)
        for name, values in arrays.items():
            signal[:, LEADS.index(name)] = values
        return cls(signal, fs, **fields)

    @property
    def n_samples(self) -> int:
        """Number of samples per lead."""
        return int(self.p_signal.shape[0])

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.n_samples / self.fs

    def lead(self, name: str) -> FloatArray:
        """The samples of one lead of `LEADS`, (n_samples,) in mV, NaN where not shown.

        Raises InvalidRecordError, a ValueError, for any other name.
        """
        if name not in LEADS:
            raise InvalidRecordError(
                f"{name!r} is not one of the twelve leads.",
                stage="record",
                hint=f"Choose from {', '.join(LEADS)}.",
            )
        return self.p_signal[:, LEADS.index(name)]

    def coverage(self) -> dict[str, float]:
        """Share of each lead's samples that are known."""
        share = np.isfinite(self.p_signal).mean(axis=0)
        return {name: float(value) for name, value in zip(LEADS, share, strict=True)}

    def plot(
        self,
        *,
        leads: Sequence[str] | None = None,
        start_s: float = 0.0,
        length_s: float = 10.0,
        ax: Axes | None = None,
    ) -> Axes:
        """Draw ``leads`` (all by default) on ECG paper at 25 mm/s and 10 mm/mV with matplotlib.

        One row per lead along the time axis, so that what a page does not show stays blank.
        ``length_s`` seconds are drawn from ``start_s``. Returns the axes; ``ax.figure.savefig``
        saves the figure at true size.
        """
        from ecg4u.notebook import plot_record

        return plot_record(self, leads=leads, start_s=start_s, length_s=length_s, ax=ax)

    def to_dataframe(self) -> pd.DataFrame:
        """The samples in mV, one column per lead, with the time in seconds as index."""
        return exchange.to_dataframe(self)

    @classmethod
    def from_dataframe(cls, frame: pd.DataFrame, fs: float | None = None) -> ECGRecord:
        """A record from the columns named after leads, in mV; other columns are ignored.

        Without ``fs`` (Hz) the index must be the time in seconds, named ``time_s``.

        Raises
        ------
        ValueError
            If no column is a lead, or the sampling frequency is unknown.
        """
        if not hasattr(frame, "columns"):
            raise wrong("frame", "a pandas DataFrame", frame, "Its columns are the leads.")
        return cls.from_leads(*exchange.leads_of_dataframe(frame, fs, LEADS))

    def to_neurokit(self) -> tuple[pd.DataFrame, float]:
        """The samples in the form of NeuroKit2's readers: a table of leads in mV, and fs in Hz.

        >>> frame, fs = record.to_neurokit()                         # doctest: +SKIP
        >>> nk.ecg_process(frame["II"].dropna(), sampling_rate=fs)   # doctest: +SKIP
        """
        return self.to_dataframe().reset_index(drop=True), self.fs

    @classmethod
    def from_neurokit(cls, frame: pd.DataFrame, sampling_rate: float) -> ECGRecord:
        """A record from a table of leads in mV such as NeuroKit2's ``ecg_simulate`` returns."""
        return cls.from_dataframe(frame, sampling_rate)

    def to_wfdb(self, name: str = "ecg4u") -> Any:
        """A `wfdb.Record` with ``p_signal`` in mV; `write_record` writes a file."""
        return exchange.to_wfdb(self, name)

    @classmethod
    def from_wfdb(cls, record: Any) -> ECGRecord:
        """The leads of a `wfdb.Record` read with ``physical=True``; `read_record` reads a file.

        Raises
        ------
        ValueError
            If it has no physical signal, none of the twelve leads, or a lead that is not in volts.
        """
        if not hasattr(record, "p_signal"):
            raise wrong("record", "a wfdb.Record", record, "ecg4u.read_record reads a file.")
        return cls.from_leads(exchange.leads_of_wfdb(record, LEADS), float(record.fs))

    def __repr__(self) -> str:
        shown = f"{100 * float(np.isfinite(self.p_signal).mean()):.0f} % known"
        count = len(self.warnings)
        warned = f", {count} warning{'s' if count > 1 else ''}" if count else ""
        length = f"{self.duration_s:.1f} s at {self.fs:g} Hz"
        return f"<ECGRecord: {length}, {shown}, {self.provenance.kind}{warned}>"

    def _repr_html_(self) -> str:
        from ecg4u.notebook import record_html

        return record_html(self)


def check_rate_and_length(fs: float, n_samples: int) -> None:
    """Raise InvalidRecordError if no ECG is sampled at this rate, or it is too long."""
    check_number("fs", fs, "Give Hz.")
    if not MIN_FS_HZ <= fs <= MAX_FS_HZ:
        raise _invalid(f"fs must be from {MIN_FS_HZ:g} to {MAX_FS_HZ:g} Hz, got {fs:g}")
    if n_samples > MAX_SAMPLES or n_samples > MAX_DURATION_S * fs:
        raise _invalid(
            f"a record holds at most {MAX_SAMPLES:,} samples per lead and {MAX_DURATION_S:,.0f} s",
            "Cut out the ECG of interest.",
        )


def _samples(values: npt.ArrayLike) -> FloatArray:
    try:
        return np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise _invalid("samples must be numbers in mV", "Give arrays of one length.") from None


def _invalid(message: str, hint: str = "Check how the record was made.") -> InvalidRecordError:
    return InvalidRecordError(f"Not a valid record: {message}.", stage="record", hint=hint)
