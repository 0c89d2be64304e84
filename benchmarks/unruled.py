"""Pages without a grid, whose scale is in their calibration pulses: read rightly, refused, wrong?

    python -m benchmarks.unruled --pages 48 --without 24 --every 4

Recordings of the training split are drawn on plain paper in many layouts, gains and resolutions,
turned a little, with noise and JPEG, beside frames, bar codes and print; half of the pages print
their settings. Pages without pulses have shapes like them instead. A page is read wrongly if its
scale is off by more than 3 % in mV or s.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.measure import score_lead
from benchmarks.physiology import recordings
from ecg4u.digitize import digitize_page
from ecg4u.digitize.rectify import rectify
from ecg4u.errors import ECG4UError
from ecg4u.io import Page
from ecg4u.paper import LAYOUTS
from ecg4u.paper.draw import DrawnPage, draw_page
from ecg4u.paper.style import PageStyle
from ecg4u.record import LEADS, ECGRecord

Pixels = npt.NDArray[np.uint8]

RESULTS = Path(__file__).parent / "results" / "unruled.md"
WRONG = 0.03
MM_PER_INCH = 25.4
LAYOUT_NAMES = ("3x4+1", "3x4", "6x2", "12x1", "3x4+3", "6x2+1", "3x4+1-cabrera", "4x3+1")
PAPERS = ((255, 255, 255), (255, 255, 255), (232, 232, 232), (246, 240, 225))


@dataclass(frozen=True, eq=False)
class Case:
    """A drawn page: its picture, its truth, and which kind of page it is."""

    kind: str
    drawn: DrawnPage
    image: Pixels
    dpi: int


def style_of(kind: str, rng: np.random.Generator) -> tuple[PageStyle, int]:
    """A look of a kind of page, and its resolution."""
    dpi = int(rng.choice((100, 150, 200, 300), p=(0.2, 0.3, 0.3, 0.2)))
    gain, speed, pulse_s = 10.0, 25.0, 0.2
    if "other gain" in kind:
        gain = float(rng.choice((5.0, 20.0)))
    if "50 mm/s" in kind:
        speed = 50.0
    if "narrow" in kind:
        pulse_s = float(rng.uniform(0.08, 0.15))
    printed = "unprinted" not in kind and ("printed" in kind or rng.random() < 0.5)
    pulse = "none" if "none" in kind else str(rng.choice(("left", "left", "right", "columns")))
    ink = int(rng.integers(0, 90))
    return (
        PageStyle(
            px_per_mm=dpi / MM_PER_INCH,
            gain_mm_per_mv=gain,
            speed_mm_per_s=speed,
            grid="none",
            paper=PAPERS[int(rng.integers(len(PAPERS)))],
            row_pitch=float(rng.uniform(24, 34)),
            trace_colour=(ink, ink, ink),
            trace_width=float(rng.uniform(0.2, 0.5)),
            pulse=pulse,  # type: ignore[arg-type]
            pulse_s=pulse_s,
            pulse_foot=float(rng.uniform(0.3, 1.5)),
            header=("ID: 004512873", "Normal sinus rhythm"),
            footer=(f"{speed:g} mm/s", f"{gain:g} mm/mV") if printed else (),
        ),
        dpi,
    )


def with_shapes(image: Pixels, rng: np.random.Generator, px_per_mm: float) -> None:
    """Draw, in place, a frame, a bar code, open boxes and a table in the page's margins."""
    ink = tuple(int(rng.integers(0, 80)) for _ in range(3))
    line = max(1, round(0.3 * px_per_mm))

    def at(x: float, y: float) -> tuple[int, int]:
        return round(x * px_per_mm), round(y * px_per_mm)

    width = image.shape[1] / px_per_mm
    x = float(rng.uniform(90, width - 80))
    cv2.rectangle(image, at(x, 1), at(x + rng.uniform(8, 30), 9), ink, line)
    for bar in np.cumsum(rng.uniform(0.5, 1.6, 20)):
        cv2.line(image, at(x + 35 + bar, 1), at(x + 35 + bar, 10), ink, line)
    for k in range(3):
        left = x - 60 + 8 * k
        corners = [at(left, 12), at(left, 2), at(left + 5, 2), at(left + 5, 12)]
        cv2.polylines(image, [np.array(corners)], False, ink, line)


def cases(data: Path, kinds: dict[str, int], seed: int) -> Iterator[Case]:
    """So many pages of each kind."""
    wanted = [kind for kind, n in kinds.items() for _ in range(n)]
    rng = np.random.default_rng(seed)
    signals = recordings(data, "train", len(wanted))
    for number, (kind, signal) in enumerate(zip(wanted, signals, strict=True)):
        style, dpi = style_of(kind, rng)
        layout = LAYOUTS[LAYOUT_NAMES[number % len(LAYOUT_NAMES)]]
        drawn = draw_page(ECGRecord(signal.T, 500.0), layout, style)
        image = drawn.image.copy()
        if rng.random() < 0.6 or "shapes" in kind:
            with_shapes(image, rng, style.px_per_mm)
        if "one pulse" in kind:
            _one_pulse(image, style)
        yield Case(kind, drawn, worn(image, style.paper, rng), dpi)


def _one_pulse(image: Pixels, style: PageStyle) -> None:
    mm = np.array([(3, 0), (4, 0), (4, -10), (9, -10), (9, 0), (10, 0)], float)
    mm += (style.margin[0] - 10.0, style.margin[1] + style.row_pitch / 2)
    points = np.round(mm * style.px_per_mm).astype(np.int32)
    width = max(1, round(style.trace_width * style.px_per_mm))
    cv2.polylines(image, [points], False, style.trace_colour, width, cv2.LINE_AA)


def worn(image: Pixels, paper: tuple[int, int, int], rng: np.random.Generator) -> Pixels:
    """The picture of a page: turned up to 4 degrees, noisy, JPEG."""
    h, w = image.shape[:2]
    turn = float(rng.uniform(-4, 4)) if rng.random() < 0.6 else 0.0
    there = cv2.getRotationMatrix2D((w / 2, h / 2), turn, 1.0)
    grow = abs(there[0, 1])
    size = round(w + h * grow), round(h + w * grow)
    there[:, 2] += ((size[0] - w) / 2, (size[1] - h) / 2)
    border = paper if rng.random() < 0.5 else (70, 70, 75)
    image = np.asarray(
        cv2.warpAffine(image, there, size, flags=cv2.INTER_CUBIC, borderValue=border), np.uint8
    )
    noisy = image + rng.normal(0, rng.uniform(0, 8), image.shape)
    image = np.clip(noisy, 0, 255).astype(np.uint8)
    if rng.random() < 0.6:
        ok, jpeg = cv2.imencode(
            ".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(50, 95)))
        )
        assert ok
        image = np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), np.uint8)
    return image


def outcome(case: Case, whole: bool) -> tuple[str, float, float]:
    """``"right"``, ``"refused"`` or ``"wrong"``, the scale's error and the mean SNR in dB.

    A page that is not read ``whole`` has no SNR, and is judged before its rows are measured, which
    can only refuse more.
    """
    style, page = case.drawn.style, Page(case.image, "0" * 64)
    snr = float("nan")
    try:
        if whole:
            read = digitize_page(page)
            grid, scale = read.rectified.grid, read.calibration
            settings = scale.gain_mm_per_mv, scale.speed_mm_per_s
            snr = mean_snr(case.drawn, read.record)
        else:
            grid = rectify(page).grid
            settings = grid.pulse.settings[:2] if grid.pulse else (float("nan"), float("nan"))
    except ECG4UError as refusal:
        print(f"  {refusal.stage}: {refusal.message}", flush=True)
        return "refused", float("nan"), float("nan")
    along, down = grid.source_px_per_mm
    seconds = along * settings[1] / (style.px_per_mm * style.speed_mm_per_s)
    millivolts = down * settings[0] / (style.px_per_mm * style.gain_mm_per_mv)
    error = max(abs(seconds - 1), abs(millivolts - 1))
    print(f"  {grid.scale_from}: off by {error:.2%}, {snr:.1f} dB", flush=True)
    return "right" if error <= WRONG else "wrong", error, snr


def mean_snr(drawn: DrawnPage, record: ECGRecord) -> float:
    """Mean SNR (dB) of the leads that a page shows."""
    scores = []
    for lead in sorted({segment.lead for segment in drawn.segments}):
        truth = np.full(5000, np.nan)
        for segment in drawn.segments:
            if segment.lead == lead:
                first = round(segment.start_s * 500)
                truth[first : first + len(segment.mv)] = segment.mv
        score = score_lead(truth, record.p_signal[:, LEADS.index(lead)], 500.0)
        scores.append(0.0 if score is None else score.snr_db)
    return float(np.mean(scores))


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/ecg"))
    parser.add_argument("--pages", type=int, default=48)
    parser.add_argument("--without", type=int, default=24)
    parser.add_argument("--every", type=int, default=1, help="Read only each n-th page whole.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save", type=Path, help="Keep pictures that were not read rightly here.")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    n, m = given.pages // 8, given.without // 3
    kinds = {
        "pulses of 1 mV and 0.2 s": given.pages - 4 * n,
        "other gain": n,
        "other gain, printed": n,
        "narrow pulses, printed": n,
        "50 mm/s, printed": n,
        "narrow pulses, unprinted": m,
        "none": m,
        "none, but shapes and one pulse": given.without - 2 * m,
    }
    told: dict[str, list[tuple[str, float, float]]] = defaultdict(list)
    for number, case in enumerate(cases(given.data, kinds, given.seed)):
        print(f"{number} {case.kind} {case.dpi} dpi {case.drawn.style.pulse}", flush=True)
        result = outcome(case, number % given.every == 0)
        told[case.kind].append(result)
        if given.save is not None and result[0] != "right":
            given.save.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(given.save / f"{number}-{result[0]}.png"), case.image[:, :, ::-1])
    given.out.write_text(table(told))


def table(told: dict[str, list[tuple[str, float, float]]]) -> str:
    """Markdown: a row for each kind of page."""
    lines = [
        "# Pages without a grid\n",
        "`python -m benchmarks.unruled --every 4`: drawn from recordings of the training split.",
        "SNR over the pages read whole (n); the others are judged by their scale, before their",
        "rows are measured, which can only refuse more.\n",
        "| pages | n | read rightly | refused | wrong scale | scale's error, largest | SNR dB |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind, results in told.items():
        n = {how: sum(r[0] == how for r in results) for how in ("right", "refused", "wrong")}
        read = [r for r in results if r[0] != "refused"]
        largest = f"{max(r[1] for r in read):.1%}" if read else "-"
        whole = [r[2] for r in read if np.isfinite(r[2])]
        snr = f"{np.mean(whole):.1f} (n = {len(whole)})" if whole else "-"
        lines.append(
            f"| {kind} | {len(results)} | {n['right']} | {n['refused']} | {n['wrong']} | {largest} "
            f"| {snr} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
