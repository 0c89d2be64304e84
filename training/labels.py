"""From each source's own statements to the nine classes: 1, 0, or not known (NaN).

| source | Normal, AF, I-AVB, LBBB, RBBB | PAC, PVC | STD, STE |
|---|---|---|---|
| CPSC-2018 | REFERENCE.csv; its RBBB includes incomplete block | same | same |
| Georgia, Chapman-Ningbo, CPSC-Extra | SNOMED CT codes | same | same |
| PTB-XL | NORM, AFIB, 1AVB, CLBBB, CRBBB; long PR without 1AVB: I-AVB not known | PAC, PVC; \
bi- or trigeminy, "premature complexes" without either: both not known | STD_, STE_; a cause of ST \
deviation (ischaemia, injury, infarction, unspecific ST-T, digitalis ...) without them: not known |
| LUDB | ludb.csv | same | STD not known (it has no such entry); STE from STEMI |
| PTB | known | known | not known |
| MIT-BIH, a two-lead window of 10 s | AF from the rhythm, bundle branch block from the beats; \
Normal 0 where any beat is abnormal, else not known; I-AVB not known | from the beats | not known |

``reference`` is the source's flag taken as it stands (what a benchmark compares with); ``targets``
is what training may believe.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt

from ecg4u.record import CLASSES

Targets = npt.NDArray[np.float32]

SNOMED: Mapping[str, str] = {
    "426783006": "Normal",
    "164889003": "AF",
    "270492004": "I-AVB",
    "164909002": "LBBB",
    "733534002": "LBBB",
    "59118001": "RBBB",
    "713427006": "RBBB",
    "284470004": "PAC",
    "63593006": "PAC",
    "427172004": "PVC",
    "17338001": "PVC",
    "164884008": "PVC",
    "429622005": "STD",
    "164931005": "STE",
}
"""SNOMED CT codes as used by the PhysioNet/CinC Challenges 2020 and 2021."""

ST_DEPRESSION_CAUSES = ("ISC", "INJ", "NST_", "NDT", "DIG", "NT_", "SEHYP", "ANEUR", "EL")
ST_ELEVATION_CAUSES = ("INJ", "ANEUR", "AMI", "ASMI", "ALMI", "IMI", "ILMI", "LMI", "NST_")
UNSPECIFIC_ECTOPY = ("BIGU", "TRIGU", "PRC(S)", "SVARR")

AUXILIARY: Mapping[str, tuple[str, ...]] = {
    "long PR": ("LPR",),
    "flutter": ("AFLT",),
    "incomplete RBBB": ("IRBBB",),
    "ischaemia": ("ISC",),
    "injury": ("INJ",),
    "anterior infarction": ("AMI", "ASMI", "ALMI"),
    "inferior infarction": ("IMI", "ILMI", "IPMI", "IPLMI"),
    "bigeminy": ("BIGU", "TRIGU"),
    "LVH": ("LVH", "VCLVH", "SEHYP"),
    "LAFB": ("LAFB",),
    "IVCD": ("IVCD", "ILBBB"),
    "unspecific ST-T": ("NDT", "NST_", "DIG"),
    "T wave": ("INVT", "NT_", "LOWT", "TAB_"),
    "pacemaker": ("PACE",),
    "slow": ("SBRAD",),
    "fast": ("STACH", "SVTAC", "PSVT"),
    "sinus arrhythmia": ("SARRH",),
    "QRS or Q wave": ("ABQRS", "QWAVE"),
}
"""PTB-XL statements (by prefix) that serve as extra training heads; not known elsewhere."""


CONTRADICTED: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("LUDB", "116"): ("LBBB", "RBBB"),
    ("PTB-XL", "00287"): ("LBBB", "RBBB"),
}
"""Validation recordings whose tracing plainly shows the other bundle branch block than their label:
116 (called RBBB) has a broad notched R in I and V6 and a broad S in V1, 00287 (called CLBBB) rSR'
in V1 with a wide S in I and V6. Calibration and thresholds leave these labels out; figures do not.
Only the validation split was looked through, among the positives that networks ranked lowest.
"""


def believed(
    reference: Targets, source: npt.NDArray[np.str_], name: npt.NDArray[np.str_]
) -> Targets:
    """(n, 9) flags with those that the tracing contradicts not known."""
    kept = np.array(reference, dtype=np.float32)
    for row, key in enumerate(zip(source.tolist(), name.tolist(), strict=True)):
        for label in CONTRADICTED.get(key, ()):
            kept[row, CLASSES.index(label)] = np.nan
    return kept


def _any(statements: Collection[str], prefixes: Collection[str]) -> bool:
    return any(s.startswith(tuple(prefixes)) for s in statements)


def targets(dataset: str, statements: Collection[str], reference: Targets) -> Targets:
    """(9,) of 1, 0 or NaN from a source's (9,) ``reference`` flags and its ``statements``."""
    known = np.array(reference, dtype=np.float32)

    def forget(name: str) -> None:
        if known[CLASSES.index(name)] == 0:
            known[CLASSES.index(name)] = np.nan

    if dataset == "PTB-XL":
        if _any(statements, ST_DEPRESSION_CAUSES):
            forget("STD")
        if _any(statements, ST_ELEVATION_CAUSES):
            forget("STE")
        if "LPR" in statements:
            forget("I-AVB")
        if _any(statements, UNSPECIFIC_ECTOPY):
            if not reference[CLASSES.index("PVC")]:
                forget("PAC")
            if not reference[CLASSES.index("PAC")]:
                forget("PVC")
    if dataset in ("LUDB", "PTB"):
        forget("STD")
    if dataset == "PTB":
        forget("STE")
    return known


def auxiliary(dataset: str, statements: Collection[str]) -> Targets:
    """(len(AUXILIARY),) of 1 or 0 for PTB-XL, NaN elsewhere."""
    if dataset != "PTB-XL":
        return np.full(len(AUXILIARY), np.nan, dtype=np.float32)
    return np.array([_any(statements, prefixes) for prefixes in AUXILIARY.values()], np.float32)


def from_names(names: Collection[str]) -> Targets:
    """(9,) of 1 or 0 from class names."""
    return np.array([name in names for name in CLASSES], dtype=np.float32)


def from_beats(symbols: Collection[str], rhythms: Collection[str]) -> Targets:
    """(9,) for a two-lead MIT-BIH window from its beats and the rhythms in force within it.

    A window whose rhythm changes into or out of AF leaves AF not known; a block needs most beats.
    """
    beats = [s for s in symbols if s in "NLRAaJSVFejE/fQ"]
    known = np.full(len(CLASSES), np.nan, dtype=np.float32)
    if not beats:
        return known

    def put(name: str, value: bool) -> None:
        known[CLASSES.index(name)] = float(value)

    fibrillating = [r == "(AFIB" for r in rhythms]
    if all(fibrillating) or not any(fibrillating):
        put("AF", any(fibrillating))
    put("PVC", "V" in beats)
    put("PAC", any(s in ("A", "a", "S") for s in beats))
    for name, symbol in (("LBBB", "L"), ("RBBB", "R")):
        share = beats.count(symbol) / len(beats)
        if share == 0 or share > 0.5:
            put(name, share > 0.5)
    if any(s != "N" for s in beats) or any(fibrillating):
        put("Normal", False)
    return known
