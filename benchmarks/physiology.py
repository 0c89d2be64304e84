"""How often wrong names and swapped electrodes are said, and how often right ones are doubted.

    python -m benchmarks.physiology --records ../shared/ecg --split test
    python -m benchmarks.physiology --sidecars out/

Recordings are cut as a 3x4 page with strip II shows them, with 10 uV of noise; sidecars
(``*.page.json``) are of pages that were digitized. Names are exchanged on purpose. A second table
says how often the order of limb leads whose names were not read is decided by the signals.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ecg4u.digitize.layout.orders import decide_order
from ecg4u.digitize.restore import signals_of
from ecg4u.digitize.sidecar.model import Sidecar
from ecg4u.digitize.signals.physiology import check_physiology
from ecg4u.digitize.signals.signal import SegmentSignal
from ecg4u.digitize.types import Layout, NamedBy, RowSegment
from ecg4u.paper import LAYOUTS
from ecg4u.record import CHEST_LEADS, LEADS, LIMB_LEADS

Floats = npt.NDArray[np.float64]
Parts = list[SegmentSignal]

FS_HZ = 500
NOISE_MV = 0.01
MV_PER_COUNT = 0.005
COLUMNS = dict(zip(LIMB_LEADS, (*LIMB_LEADS[3:], *LIMB_LEADS[:3]), strict=True))
BACKWARDS = dict(zip(CHEST_LEADS, CHEST_LEADS[::-1], strict=True))


def cut(signal: Floats, layout: str = "3x4+1") -> Parts:
    """A recording (12, n) at 500 Hz in mV as the segments of a page."""
    parts = []
    rows = LAYOUTS[layout].rows
    for number, row in enumerate(rows):
        for cell in row:
            first = round(cell.start_s * FS_HZ)
            piece = signal[LEADS.index(cell.lead), first : first + round(cell.duration_s * FS_HZ)]
            strip = len(row) < len(rows[0])
            segment = RowSegment(cell.lead, number, 0, 0, cell.start_s, "label", 1.0, strip)
            parts.append(SegmentSignal(segment, piece, np.ones(len(piece)), np.zeros((2, 2))))
    return parts


def recordings(folder: Path, split: str, n: int) -> Iterator[Floats]:
    """Up to ``n`` recordings of a split, (12, 5000) in mV, in a fixed random order."""
    import h5py

    rows = [row for row in csv.DictReader((folder / "index.csv").open()) if row["split"] == split]
    np.random.default_rng(5).shuffle(rows)
    noise = np.random.default_rng(1)
    for row in rows:
        if n > 0 and int(float(row["fs"])) == FS_HZ and int(row["samples"]) >= 10 * FS_HZ:
            with h5py.File(folder / row["file"]) as file:
                counts = file[row["record"]][:, : 10 * FS_HZ]
            n -= 1
            yield counts * MV_PER_COUNT + noise.normal(0, NOISE_MV, counts.shape)


def renamed(parts: Sequence[SegmentSignal], names: Mapping[str, str]) -> Parts:
    """The segments with other names; the rhythm strip keeps its own."""
    return [
        part
        if part.segment.rhythm
        else replace(
            part,
            segment=replace(part.segment, lead=names.get(part.segment.lead, part.segment.lead)),
        )
        for part in parts
    ]


def exchanges(rng: np.random.Generator) -> Iterator[tuple[str, dict[str, str]]]:
    """Wrong namings, each with its kind."""
    for a, b in combinations(LIMB_LEADS, 2):
        yield "two limb leads' names exchanged", {a: b, b: a}
    for i, j in combinations(range(6), 2):
        a, b = CHEST_LEADS[i], CHEST_LEADS[j]
        kind = "neighbours" if j - i == 1 else "two apart" if j - i == 2 else "further apart"
        yield f"two chest leads' names exchanged, {kind}", {a: b, b: a}
    for a in LIMB_LEADS:
        b = str(rng.choice(CHEST_LEADS))
        yield "a limb lead's and a chest lead's name exchanged", {a: b, b: a}
    yield "names of the two limb columns exchanged", COLUMNS
    yield "chest leads' names in reverse", BACKWARDS
    yield "all names at random", dict(zip(LEADS, map(str, rng.permutation(LEADS)), strict=True))


def electrodes(signal: Floats) -> dict[str, Floats]:
    """The recording as it would be with electrodes exchanged."""
    i, ii, iii, avr, avl, avf = signal[:6]
    arms = np.stack([-i, iii, ii, avl, avr, avf])
    leg = np.stack([-iii, 0 * ii, iii, iii / 2, -iii, iii / 2])
    return {
        "arm electrodes exchanged": np.concatenate([arms, signal[6:]]),
        "right arm's electrode exchanged with the right leg's": np.concatenate([leg, signal[6:]]),
    }


def unread(parts: Sequence[SegmentSignal], *, strip_read: bool) -> tuple[Layout, Parts]:
    """A page as it is read where no limb lead's name is: in the usual order, whatever it shows."""
    usual = iter(cell.lead for row in LAYOUTS["3x4"].rows for cell in row)
    shown = []
    for part in parts:
        segment = part.segment
        if segment.rhythm:
            named_by: NamedBy = "label" if strip_read else "layout"
            shown.append(replace(part, segment=replace(segment, named_by=named_by)))
            continue
        lead = next(usual)
        named_by = "label" if lead in CHEST_LEADS else "layout"
        shown.append(replace(part, segment=replace(segment, lead=lead, named_by=named_by)))
    return Layout("3x4+1", tuple(part.segment for part in shown), 1.0), shown


def misread(parts: Sequence[SegmentSignal], rng: np.random.Generator) -> tuple[Layout, Parts]:
    """A page in the usual order of which two limb names were read wrongly, with doubt."""
    a, b = (str(lead) for lead in rng.choice(LIMB_LEADS, 2, replace=False))
    wrong = renamed(parts, {a: b, b: a})
    shown = [
        replace(part, segment=replace(part.segment, probability=0.9))
        if part.segment.lead in (a, b) and not part.segment.rhythm
        else part
        for part in wrong
    ]
    return Layout("3x4+1", tuple(part.segment for part in shown), 1.0), shown


def orders(signals: Sequence[Floats], rng: np.random.Generator) -> str:
    """Markdown: of pages whose names leave the order open, how many are decided, and rightly."""
    told: dict[str, Counter[str]] = {}

    def note(kind: str, truth: Parts, layout: Layout, parts: Parts) -> None:
        decided = decide_order(layout, parts)
        names = [segment.lead for segment in decided.segments]
        right = names == [part.segment.lead for part in truth]
        said = any(segment.named_by == "physiology" for segment in decided.segments)
        told.setdefault(kind, Counter())[f"{'decided' if said else 'left'} {right}"] += 1

    for signal in signals:
        for name, shown in (("usual", "3x4+1"), ("Cabrera", "3x4+1-cabrera")):
            truth = cut(signal, shown)
            for read in (True, False):
                strip = "strip read" if read else "strip unread"
                note(f"{name} order, {strip}", truth, *unread(truth, strip_read=read))
        truth = cut(signal)
        note("two limb names misread with doubt", truth, *misread(truth, rng))
    lines = [
        "| page | n | decided rightly | decided wrongly | left, right | left, wrong |",
        "|---|---|---|---|---|---|",
    ]
    for kind, n in told.items():
        shares = (n["decided True"], n["decided False"], n["left True"], n["left False"])
        lines.append(f"| {kind} | {sum(shares)} | " + " | ".join(map(str, shares)) + " |")
    return "\n".join(lines)


def main() -> None:
    """Print the shares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--sidecars", type=Path)
    parser.add_argument("-n", type=int, default=200)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    said: Counter[str] = Counter()
    tried: Counter[str] = Counter()

    def note(kind: str, parts: Parts) -> None:
        tried[kind] += 1
        said[kind] += bool(check_physiology(parts))

    pages = []
    signals: list[Floats] = []
    if options.records is not None:
        signals = list(recordings(options.records, options.split, options.n))
        for signal in signals:
            pages.append(cut(signal))
            for kind, swapped in electrodes(signal).items():
                note(kind, cut(swapped))
    if options.sidecars is not None:
        paths = sorted(options.sidecars.rglob("*.page.json"))
        pages += [signals_of(Sidecar.from_json(path)) for path in paths]
    for parts in pages:
        note("right names", parts)
        if {part.segment.lead for part in parts} == set(LEADS):
            for kind, names in exchanges(rng):
                note(kind, renamed(parts, names))
    print("| names | said | of |\n|---|---|---|")
    for kind, n in tried.items():
        print(f"| {kind} | {said[kind] / n:.1%} | {n} |")
    if signals:
        print("\n" + orders(signals, rng))


if __name__ == "__main__":
    main()
