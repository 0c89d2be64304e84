"""Pages that went wrong once: each against its right value, and whether a fault is said.

    python -m benchmarks.cases ../shared/cases --out benchmarks/results/cases.md

Right is a page whose names, gain, speed and px per mm are those of ``expected.csv``, and whose
signals pass what is written there of them (`SIGNAL_CHECKS`). A fault is said where the page is
graded less than good, or something of it is called uncertain (`Digitization.doubtful`).
"""

from __future__ import annotations

import argparse
import csv
import resource
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ecg4u.digitize import digitize_page
from ecg4u.digitize.result import Digitization
from ecg4u.errors import ECG4UError
from ecg4u.io import Page, is_record_file, read_page, read_record
from ecg4u.record import DEFAULT_FS_HZ, LEADS

Floats = npt.NDArray[np.float64]

RESULTS = Path(__file__).parent / "results" / "cases.md"
TOLERANCE, ROUGHLY = 0.03, 0.1
EDGE_S, EDGE_TIMES, LEAST_MV = 0.08, 1.3, 0.15
FLAT_MV = 0.3
LEAST_SHOWN_S, RHYTHM_S = 2.0, 5.0
FIRST_R_MV = (0.6, 1.0)
REFUSAL_WILL_DO = (
    "right, or refused",
    "right or refused",
    "to be refused",
    "or refused for another",
    "left out, in words",
)
RHYTHM = "rhythm"
READ_THEM = "read them"
"""Names that stand on the page, not written down: each must be read from its print."""


@dataclass(frozen=True)
class Outcome:
    """What came of one input."""

    name: str
    verdict: str
    what: str
    seconds: float


def check(path: Path, expected: Mapping[str, str]) -> Outcome:
    """Read one input and hold it against its line of ``expected.csv``."""
    start = time.perf_counter()
    try:
        faults, said = (
            _record_faults(path) if is_record_file(path) else _page_faults(path, expected)
        )
    except ECG4UError as error:
        wanted = expected["right_value_or_behaviour"]
        fine = any(words in wanted for words in REFUSAL_WILL_DO)
        verdict = "right" if fine else "refused"
        return Outcome(path.name, verdict, f"refused: {error.message}", time.perf_counter() - start)
    verdict = "right" if not faults else "wrong, said" if said else "wrong, unsaid"
    return Outcome(path.name, verdict, "; ".join(faults), time.perf_counter() - start)


def _record_faults(path: Path) -> tuple[list[str], bool]:
    """A record file must give all twelve leads, and one for long enough to show the rhythm."""
    record = read_record(path)
    shown = np.isfinite(record.p_signal).sum(axis=0) / record.fs
    short = [lead for lead, s in zip(LEADS, shown, strict=True) if s < LEAST_SHOWN_S]
    faults = [f"little or nothing of {', '.join(short)}"] if short else []
    return faults + ([] if shown.max() >= RHYTHM_S else ["no rhythm"]), False


def _page_faults(path: Path, expected: Mapping[str, str]) -> tuple[list[str], bool]:
    page = read_page(path)
    result = digitize_page(page)
    said = bool(result.doubtful) or result.grade != "good"
    if expected["layout"] == "none":
        return ["no ECG page, but not refused"], said
    faults = [
        *_name_faults(result, expected),
        *_scale_faults(result, expected, _stretch(path, page)),
    ]
    for kind, checks in SIGNAL_CHECKS.items():
        if path.name.startswith(kind):
            faults += [words for words in (checks(result),) if words]
    return faults, said


def _name_faults(result: Digitization, expected: Mapping[str, str]) -> list[str]:
    wanted = expected["names_row_by_row"].split("(")[0].strip()
    if wanted == READ_THEM:
        guessed = [t.lead for t in result.traces if t.named_by != "label"]
        return [f"{', '.join(guessed)} not read"] if guessed else []
    if "/" not in wanted and " " in wanted:
        sure = [t.lead for t in result.traces if t.named_by == "label"]
        return [f"named {', '.join(sure)}"] if sure and not said_of_names(result) else []
    rows = [row.split() for row in wanted.split("/")]
    right = [_names_of(row) for row in rows]
    found: dict[int, list[tuple[float, str]]] = {}
    for segment in result.layout.segments:
        found.setdefault(segment.row, []).append((segment.x0, segment.lead))
    shown = [[name for _, name in sorted(row)] for _, row in sorted(found.items())]
    right = [row for row in right if row]
    if right and right[-1] == [RHYTHM] and shown and len(shown[-1]) == 1:
        right[-1] = shown[-1]
    if shown == right:
        return []
    return ["rows " + " / ".join(" ".join(row) for row in shown)]


def _names_of(row: list[str]) -> list[str]:
    """The leads of a row; `RHYTHM` for a strip of which no name is told."""
    names = [name.removeprefix("-") for name in row]
    return names if names == [RHYTHM] else [name for name in names if name in LEADS]


def said_of_names(result: Digitization) -> bool:
    """Whether the names are called uncertain."""
    return "names" in result.doubtful


def _stretch(path: Path, page: Page) -> Floats:
    """How far a picture was stretched across and down when it was read (a fax is)."""
    from PIL import Image, ImageOps

    with Image.open(path) as image:
        size = ImageOps.exif_transpose(image).size
    return np.divide(page.image.shape[1::-1], size)


def _scale_faults(result: Digitization, expected: Mapping[str, str], stretch: Floats) -> list[str]:
    faults = []
    calibration = result.calibration
    for what, found, text in (
        ("gain", calibration.gain_mm_per_mv, expected["gain_mm_per_mv"]),
        ("speed", calibration.speed_mm_per_s, expected["speed_mm_per_s"]),
    ):
        if text and abs(found / float(text) - 1) > TOLERANCE:
            faults.append(f"{what} {found:g}")
    rough = "about" in expected["px_per_mm"]
    wanted = expected["px_per_mm"].split("(")[0].replace("about", "").strip()
    try:
        sizes = [float(part) for part in wanted.split("x")]
    except ValueError:
        return faults
    in_file = result.rectified.grid.source_px_per_mm / stretch
    for size, found in zip(sizes * 2, in_file, strict=False):
        if abs(found / size - 1) > (ROUGHLY if rough else TOLERANCE):
            faults.append(f"{found:.2f} px/mm")
    return faults


def _no_spikes_at_ends(result: Digitization) -> str:
    """The upright lines between columns are no signal."""
    n = round(EDGE_S * DEFAULT_FS_HZ)
    bad = []
    for trace in result.traces:
        off = np.abs(trace.signal - np.nanmedian(trace.signal))
        inner = np.nanmax(off[n:-n])
        ends = np.concatenate([off[:n], off[-n:]])
        if np.isfinite(ends).any() and np.nanmax(ends) > max(EDGE_TIMES * inner, LEAST_MV):
            bad.append(trace.lead)
    return f"spikes at the ends of {', '.join(bad)}" if bad else ""


def _flat_chest(result: Digitization) -> str:
    """V1 to V3 of a page of ventricular fibrillation stay near their median."""
    leads = [result.record.lead(name) for name in ("V1", "V2", "V3")]
    off = max(float(np.nanmax(np.abs(lead - np.nanmedian(lead)))) for lead in leads)
    return f"{off:.2f} mV off the median in V1 to V3" if off > FLAT_MV else ""


def _first_r(result: Digitization) -> str:
    lead = result.record.lead("I")
    top = float(np.nanmax(lead[: round(DEFAULT_FS_HZ)]) - np.nanmedian(lead))
    low, high = FIRST_R_MV
    return "" if low < top < high else f"first R of I {top:.2f} mV"


def _strip_follows(result: Digitization) -> str:
    """A strip of another time leaves the columns where they stand."""
    starts = {round(s.start_s, 1) for s in result.layout.segments if not s.rhythm}
    return "" if len(starts) == 4 else f"columns at {sorted(starts)} s"


def _calibrated(result: Digitization) -> str:
    """A lone pulse is the calibration and no part of lead I."""
    return "" if result.calibration.gain_from == "pulse" else "the pulse was not used"


SIGNAL_CHECKS: dict[str, Callable[[Digitization], str]] = {
    "a1": _first_r,
    "b": _no_spikes_at_ends,
    "c": _no_spikes_at_ends,
    "j2": _no_spikes_at_ends,
    "t1": _flat_chest,
    "t2": _no_spikes_at_ends,
    "h1": _calibrated,
    "i1": _strip_follows,
}


def table(outcomes: list[Outcome]) -> list[str]:
    """Rows of Markdown, one an input, and the counts."""
    counts = Counter(outcome.verdict for outcome in outcomes)
    lines = [
        f"{len(outcomes)} inputs: "
        + ", ".join(f"{n} {v}" for v, n in sorted(counts.items()))
        + ".",
        "",
        "| input | outcome | what | s |",
        "|---|---|---|---|",
    ]
    return lines + [f"| {o.name} | {o.verdict} | {o.what} | {o.seconds:.1f} |" for o in outcomes]


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("../shared/cases"))
    parser.add_argument("--only", nargs="*", default=[], help="Beginnings of names.")
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    outcomes = []
    with (options.folder / "expected.csv").open() as stream:
        for row in csv.DictReader(stream):
            if options.only and not row["file"].startswith(tuple(options.only)):
                continue
            outcomes.append(check(options.folder / row["file"], row))
            print(outcomes[-1], flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    lines = [*table(outcomes), "", f"Largest memory of the process: {peak:.0f} MB.", ""]
    print("\n".join(lines))
    if options.out is not None:
        options.out.write_text(
            "<!-- python -m benchmarks.cases ../shared/cases -->\n" + "\n".join(lines)
        )


if __name__ == "__main__":
    main()
