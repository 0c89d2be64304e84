"""From each source's own statements to the nine classes: 1, 0, or not known (NaN).

| source | Normal, AF, I-AVB, LBBB, RBBB | PAC, PVC | STD, STE |
|---|---|---|---|
| CPSC-2018 | REFERENCE.csv; its RBBB includes incomplete block | same | same |
| Georgia, Chapman-Ningbo, CPSC-Extra | SNOMED CT codes | same | same |
| PTB-XL | NORM, AFIB, 1AVB, CLBBB, CRBBB or IRBBB; long PR without 1AVB: I-AVB not known; NORM \
beside one of the eight: not Normal, beside another finding: not known | PAC, PVC; bi- or \
trigeminy, "premature complexes" without either: both not known | STD_, STE_, or what is \
measured: see `seen_st` |
| LUDB | ludb.csv | same | STD not known (it has no such entry); STE from STEMI |
| PTB | known | known | not known |
| MIT-BIH, a two-lead window of 10 s | AF from the rhythm, bundle branch block from the beats; \
Normal 0 where any beat is abnormal, else not known; I-AVB not known | from the beats | not known |

``reference`` is the source's flag taken as it stands; ``targets`` is what the nine classes mean in
ICBEB-2018, as far as the statements and the measured ST level tell it: RBBB counts incomplete
block, Normal excludes any other of the nine, STD and STE are what is seen, whatever its cause.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt

from ecg4u.record import CLASSES

Targets = npt.NDArray[np.float32]

ST_CAUSES = (
    *("ISC", "INJ", "NST_", "NDT", "DIG", "NT_", "SEHYP", "ANEUR", "EL", "LVH", "VCLVH", "RVH"),
    *("AMI", "ASMI", "ALMI", "IMI", "ILMI", "IPMI", "IPLMI", "LMI", "PMI"),
)
"""PTB-XL statements that name a cause of ST deviation, where the finding is often not written."""
ST_SECONDARY = ("CLBBB", "ILBBB", "CRBBB", "IVCD", "PACE", "WPW")
"""... where the ST segment follows from the QRS: no measured level speaks for STD or STE."""
WAVE_FINDINGS = (
    *("ABQRS", "QWAVE", "VCLVH", "HVOLT", "LVOLT", "IVCD", "LAFB", "LPFB", "LAO/LAE", "RAO/RAE"),
    *("NT_", "NST_", "NDT", "INVT", "TAB_", "LOWT", "LPR", "BIGU", "TRIGU", "SVARR", "PACE", "WPW"),
)
UNSPECIFIC_ECTOPY = ("BIGU", "TRIGU", "PRC(S)", "SVARR")

AUXILIARY: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "sinus tachycardia": (("STACH",), ("STach",)),
    "sinus bradycardia": (("SBRAD",), ("SB",)),
    "sinus arrhythmia": (("SARRH",), ("SA",)),
    "supraventricular tachycardia": (("SVTAC", "PSVT"), ("426761007", "713422000")),
    "atrial flutter": (("AFLT",), ("AFL",)),
    "pacemaker": (("PACE",), ("10370003",)),
    "pre-excitation": (("WPW",), ("74390002",)),
    "long PR": (("LPR",), ()),
    "second- or third-degree AV block": (("2AVB", "3AVB"), ("195042002", "27885002")),
    "bigeminy": (("BIGU", "TRIGU"), ()),
    "complete RBBB": (("CRBBB",), ()),
    "incomplete RBBB": (("IRBBB",), ("713426002",)),
    "left anterior fascicular block": (("LAFB",), ("445118002",)),
    "left posterior fascicular block": (("LPFB",), ("445211001",)),
    "intraventricular delay": (("IVCD", "ILBBB"), ("698252002",)),
    "left ventricular hypertrophy": (("LVH", "SEHYP"), ("164873001",)),
    "right ventricular hypertrophy": (("RVH",), ("89792004",)),
    "left atrial enlargement": (("LAO/LAE",), ()),
    "low voltage": (("LVOLT",), ("251146004",)),
    "high voltage": (("VCLVH", "HVOLT"), ()),
    "long QT": (("LNGQT",), ("111975006",)),
    "anterior infarction": (("AMI", "ASMI", "ALMI"), ()),
    "inferior infarction": (("IMI", "ILMI", "IPMI", "IPLMI"), ()),
    "lateral infarction": (("LMI", "ALMI", "ILMI", "IPLMI"), ()),
    "pathological Q wave": (("QWAVE",), ("164917005",)),
    "T wave inversion": (("INVT", "TAB_"), ("59931005",)),
    "ischaemia": (("ISC",), ()),
    "injury": (("INJ",), ()),
    "ventricular aneurysm": (("ANEUR",), ()),
    "unspecific ST-T": (("NDT", "NST_", "DIG"), ("428750005",)),
    "unspecific T wave": (("NT_", "LOWT"), ()),
    "unspecific QRS": (("ABQRS",), ()),
    "NORM, as PTB-XL says": (("NORM",), ()),
    "STD, as PTB-XL says": (("STD_",), ()),
}
"""Other findings, by prefixes of PTB-XL's statements and by the SNOMED CT codes (or the index's
abbreviations for them) of Georgia, Chapman-Ningbo and CPSC-Extra; not known elsewhere. Extra heads
for training, of which those that can be told well ship (`training.findings`)."""
FINDINGS = (
    *("sinus tachycardia", "sinus bradycardia", "sinus arrhythmia", "pacemaker"),
    *("incomplete RBBB", "complete RBBB", "left anterior fascicular block"),
    *("left posterior fascicular block", "left ventricular hypertrophy", "low voltage"),
    *("anterior infarction", "inferior infarction", "lateral infarction", "T wave inversion"),
)
"""Those that were tried beside the nine; they ship by the rule of `training.export`."""
CODED_SOURCES = ("Georgia", "Chapman-Ningbo", "CPSC-Extra")
BY_AMPLITUDE = (
    *("left ventricular hypertrophy", "right ventricular hypertrophy"),
    *("low voltage", "high voltage"),
)
"""Not learned from recordings whose lead sizes are only estimated."""


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
    """(9,) of 1, 0 or NaN from a source's (9,) ``reference`` flags and its ``statements``.

    What the ST level says is still missing: see `seen_st`.
    """
    known = np.array(reference, dtype=np.float32)

    def put(name: str, value: float) -> None:
        known[CLASSES.index(name)] = value

    if dataset == "PTB-XL":
        if "IRBBB" in statements:
            put("RBBB", 1)
        if "LPR" in statements and not flag(reference, "I-AVB"):
            put("I-AVB", np.nan)
        if _any(statements, UNSPECIFIC_ECTOPY):
            for name, other in (("PAC", "PVC"), ("PVC", "PAC")):
                if not flag(reference, name) and not flag(reference, other):
                    put(name, np.nan)
        if known[1:].max() > 0:
            put("Normal", 0)
        elif flag(reference, "Normal") and _any(statements, WAVE_FINDINGS):
            put("Normal", np.nan)
    if dataset in ("LUDB", "PTB"):
        put("STD", np.nan)
    if dataset == "PTB":
        put("STE", np.nan)
    return known


def flag(labels: Targets, name: str) -> bool:
    """Whether one class of (9,) ``labels`` is positive."""
    return bool(labels[CLASSES.index(name)] == 1)


STD_SEEN_MV, STD_ABSENT_MV = -0.1, -0.02
STE_SEEN, STE_ABSENT = 1.0, 0.5
"""Shares of the limits of the 4th Universal Definition of MI (0.2 mV in V2 and V3, else 0.1)."""


def seen_st(
    known: Targets,
    dataset: str,
    statements: Collection[str],
    level: tuple[float, float],
    sized: bool,
) -> Targets:
    """(9,) ``targets`` with PTB-XL's STD and STE supported by what is measured.

    ``level`` is the deepest ST depression of two contiguous leads in mV and the highest ST
    elevation of two in shares of the limit (`training.prepare_data.st_level`); ``sized`` says
    whether the leads' amplitudes are known. Where a cause is stated, a clear deviation is the
    finding, a level ST segment is its absence, and what lies between is not known. A deviation that
    nobody stated, or that the QRS explains, is not known; estimated amplitudes tell nothing.
    """
    known = np.array(known, dtype=np.float32)
    if dataset != "PTB-XL":
        return known
    down, up = level
    caused, secondary = _any(statements, ST_CAUSES), _any(statements, ST_SECONDARY)
    for name, seen, absent in (
        ("STD", down <= STD_SEEN_MV, down >= STD_ABSENT_MV),
        ("STE", up >= STE_SEEN, up <= STE_ABSENT),
    ):
        if known[CLASSES.index(name)] == 1:
            continue
        value = 0.0
        if seen and caused and sized and not secondary:
            value = 1.0
        elif seen or ((caused or secondary) and not (absent and sized)):
            value = np.nan
        known[CLASSES.index(name)] = value
    if (known[7:] == 1).any():
        known[CLASSES.index("Normal")] = 0
    return known


def auxiliary(dataset: str, statements: Collection[str], sized: bool = True) -> Targets:
    """(len(AUXILIARY),) of 1, 0 or NaN; ``sized`` as in `seen_st`."""
    found = np.full(len(AUXILIARY), np.nan, dtype=np.float32)
    for column, (name, (prefixes, codes)) in enumerate(AUXILIARY.items()):
        if dataset == "PTB-XL" and (sized or name not in BY_AMPLITUDE):
            found[column] = _any(statements, prefixes)
        elif dataset in CODED_SOURCES and codes:
            found[column] = any(code in statements for code in codes)
    return found


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
