"""What other programs call the twelve leads and the units of their samples."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ecg4u.errors import NotAnECGError
from ecg4u.io.files import STAGE, unreadable
from ecg4u.record import LEADS, MAX_SAMPLES, ECGRecord, Provenance, check_rate_and_length

MAX_FILE_SAMPLES = len(LEADS) * MAX_SAMPLES
"""Over all channels of a file."""
MAX_LABEL_CHARS = 64

_PREFIX = re.compile(r"^(mdc_ecg_lead_|mdc_ecg_elec_potl_|ecg|ekg|leads?|channel|ch)[\s_:.-]*(?=.)")
_UNIT_SUFFIX = re.compile(r"[\(\[_](?P<unit>[numµμ]?v)[\)\]]?$", re.IGNORECASE)
_ALIASES = {name.casefold(): name for name in LEADS}
_ALIASES |= {"vr": "aVR", "vl": "aVL", "vf": "aVF", "l1": "I", "l2": "II", "l3": "III"}
_ALIASES |= {"1": "I", "2": "II", "3": "III", "d1": "I", "d2": "II", "d3": "III"}
_ALIASES |= {"di": "I", "dii": "II", "diii": "III"}
_ALIASES |= {f"c{n}": f"V{n}" for n in range(1, 7)}
_MODIFIED = {"mli": "I", "mlii": "II", "mliii": "III"}

_MV_PER_UNIT = {"mv": 1.0, "uv": 1e-3, "v": 1e3, "nv": 1e-6}
_MICROVOLTS_ABOVE = 50.0
"""No surface ECG reaches 50 mV peak from its median; unnamed units above that are microvolts."""


@dataclass(frozen=True, eq=False)
class Channel:
    """One channel as a file holds it: its ``name``, ``unit`` ("" if unknown), samples and rate."""

    name: str
    unit: str
    samples: npt.NDArray[np.floating]
    fs: float


def lead_of(name: str) -> tuple[str, float] | None:
    """The lead that ``name`` means and its sign, or None.

    >>> lead_of("MDC_ECG_LEAD_AVR"), lead_of("-aVR"), lead_of("Resp")
    (('aVR', 1.0), ('aVR', -1.0), None)
    """
    text = name.strip()[:MAX_LABEL_CHARS].casefold().strip("'\"[]() ")
    sign = 1.0
    if text.startswith("-"):
        sign, text = -1.0, text[1:].strip()
    while (shorter := _PREFIX.sub("", text)) != text:
        text = shorter
    text = text.replace(" ", "").replace("_", "")
    lead = _ALIASES.get(text) or _MODIFIED.get(text)
    return None if lead is None else (lead, sign)


def split_unit(label: str) -> tuple[str, str]:
    """A column label as name and unit: ``"V1 (uV)"`` and ``"V1_uV"`` give ``("V1", "uV")``."""
    text = label.strip()[:MAX_LABEL_CHARS]
    match = _UNIT_SUFFIX.search(text)
    return (text[: match.start()].rstrip(" _\t"), match["unit"]) if match else (text, "")


def mv_per_unit(unit: str) -> float | None:
    """Millivolts per ``unit``; None if that is no unit of voltage."""
    folded = unit.strip()[:MAX_LABEL_CHARS].casefold().replace("µ", "u").replace("μ", "u")
    return _MV_PER_UNIT.get({"microvolt": "uv", "millivolt": "mv", "volt": "v"}.get(folded, folded))


def assemble(
    channels: Sequence[Channel], sha256: str, *, source_format: str, inferred: Sequence[str] = ()
) -> ECGRecord:
    """Pick the twelve leads out of a file's channels, in mV.

    Raises
    ------
    NotAnECGError
        If no channel is one of the twelve leads.
    UnreadableInputError
        If the leads differ in sampling rate or length.
    """
    notes = list(inferred)
    leads: dict[str, tuple[float, Channel]] = {}
    for channel in channels:
        known = lead_of(channel.name)
        if known is None or known[0] in leads:
            continue
        lead, sign = known
        scale, note = _scale(channel)
        notes += [note] if note and note not in notes else []
        if channel.name.strip().casefold() in _MODIFIED:
            notes.append(f"lead {lead} from a modified limb lead")
        leads[lead] = sign * scale, channel
    found = [channel for _, channel in leads.values()]
    if not found:
        raise NotAnECGError(
            "The file holds none of the twelve leads.", stage=STAGE, hint="Check its channel names."
        )
    fs = _common_rate(found)
    _check_lengths(found)
    check_rate_and_length(fs, len(found[0].samples))
    signal = np.full((len(found[0].samples), len(LEADS)), np.nan)
    for lead, (factor, channel) in leads.items():
        column = signal[:, LEADS.index(lead)]
        np.multiply(channel.samples, factor, out=column)
        column[np.isinf(column)] = np.nan
    provenance = Provenance("digital", sha256, tuple(notes), {"format": source_format})
    return ECGRecord(signal, fs, provenance=provenance)


def check_sample_count(n_samples: float, n_channels: float) -> None:
    """Refuse a file by what its header claims, before memory is taken for it."""
    if not (0 < n_samples * n_channels <= MAX_FILE_SAMPLES):
        raise unreadable(
            "The record's header states no samples, or more than can be read at once.",
            "Cut out the ECG of interest; at most an hour of twelve leads can be read.",
        )


def _scale(channel: Channel) -> tuple[float, str]:
    known = mv_per_unit(channel.unit)
    if known is not None:
        return known, ""
    finite = channel.samples[np.isfinite(channel.samples)]
    if finite.size and np.max(np.abs(finite - np.median(finite))) > _MICROVOLTS_ABOVE:
        return 1e-3, "unit taken for microvolts from the size of the values"
    return 1.0, "unit taken for millivolts from the size of the values"


def _common_rate(channels: Sequence[Channel]) -> float:
    if len({channel.fs for channel in channels}) > 1:
        raise unreadable(
            "The leads have different sampling rates.", "Export them at one sampling rate."
        )
    return channels[0].fs


def _check_lengths(channels: Sequence[Channel]) -> None:
    if len({len(channel.samples) for channel in channels}) > 1:
        raise unreadable("The leads have different lengths.", "Export the record again.")
