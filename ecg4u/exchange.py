"""Records as other packages hold them: wfdb, NeuroKit2 and pandas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

    from ecg4u.record import ECGRecord

TIME = "time_s"
MV_PER_UNIT: Mapping[str, float] = {"mv": 1.0, "uv": 1e-3, "µv": 1e-3, "v": 1e3}
UNEVEN = 1e-3
"""Steps of a time index may differ by this share of the median step, by rounding."""


def to_dataframe(record: ECGRecord) -> pd.DataFrame:
    """One column per lead in mV, the time in seconds as index."""
    import pandas as pd

    time = pd.Index(np.arange(record.n_samples) / record.fs, name=TIME)
    return pd.DataFrame(np.array(record.p_signal), index=time, columns=list(record.sig_name))


def leads_of_dataframe(
    frame: pd.DataFrame, fs: float | None, known: tuple[str, ...]
) -> tuple[dict[str, npt.NDArray[np.float64]], float]:
    """The columns that are leads, and the sampling frequency: ``fs``, or what the index says."""
    names = {name.casefold() for name in known}
    leads = {
        str(column): frame[column].to_numpy(dtype=np.float64)
        for column in frame.columns
        if str(column).casefold() in names
    }
    if not leads:
        raise ValueError(f"no column is named as one of the leads {', '.join(known)}")
    return leads, _rate_of(frame) if fs is None else fs


def _rate_of(frame: pd.DataFrame) -> float:
    if frame.index.name != TIME or len(frame) < 2:
        raise ValueError(f"give fs in Hz: the index is not a time in seconds named {TIME!r}")
    steps = np.diff(frame.index.to_numpy(dtype=np.float64))
    step = float(np.median(steps))
    if not (step > 0 and np.abs(steps - step).max() <= UNEVEN * step):
        raise ValueError("the samples are not evenly spaced in time; resample them first")
    # A rate that is a whole number of Hz but for the rounding of times is that number.
    rate = 1.0 / step
    return float(round(rate)) if abs(rate - round(rate)) < 1e-6 * rate else rate


def to_wfdb(record: ECGRecord, name: str) -> Any:
    """A `wfdb.Record` with ``p_signal`` in mV."""
    import wfdb

    return wfdb.Record(
        record_name=name,
        n_sig=len(record.sig_name),
        fs=record.fs,
        sig_len=record.n_samples,
        sig_name=list(record.sig_name),
        units=[record.units] * len(record.sig_name),
        p_signal=np.array(record.p_signal),
    )


def leads_of_wfdb(record: Any, known: tuple[str, ...]) -> dict[str, npt.NDArray[np.float64]]:
    """The leads of a `wfdb.Record` in mV; other channels are left out."""
    if record.p_signal is None:
        raise ValueError("the wfdb record has no p_signal: read it with physical=True")
    names = {name.casefold() for name in known}
    leads: dict[str, npt.NDArray[np.float64]] = {}
    for column, (name, unit) in enumerate(zip(record.sig_name, record.units, strict=True)):
        if name.casefold() not in names:
            continue
        scale = MV_PER_UNIT.get(unit.casefold())
        if scale is None:
            raise ValueError(f"lead {name} is in {unit!r}, which is not a unit of voltage")
        leads[name] = scale * np.asarray(record.p_signal[:, column], dtype=np.float64)
    if not leads:
        raise ValueError("the wfdb record holds none of the twelve leads")
    return leads
