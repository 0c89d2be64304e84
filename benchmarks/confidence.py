"""Does the confidence of a sample predict its error?

    python -m benchmarks.confidence ../shared/images \
        --out benchmarks/results/confidence.md --plot docs/img/confidence.png

Errors are taken after the shift in time and level that the Challenge's measure forgives, per lead.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.digitize import group_of, jobs_of
from benchmarks.measure import moved, score_lead
from ecg4u.record import LEADS

Array = npt.NDArray[np.float64]

FS_HZ = 500.0
WRONG_MV = 0.1
NEAR_S = 0.01
EDGES = np.array([0.0, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.985, 1.001])


@dataclass(frozen=True, eq=False)
class Samples:
    """Confidence, absolute error (mV) and steepness of samples, each (n,); of how many pages.

    Steepness is the largest step (mV in 2 ms) within 10 ms, of the signal that was read: what a
    confidence that only knows the signal could tell.
    """

    confidence: Array
    error_mv: Array
    steepness: Array
    pages: int


def samples_of(truth: Array, signal: Array, confidence: Array) -> Samples:
    """Samples of a page at which both (n, 12) signals at 500 Hz are known."""
    from scipy.ndimage import maximum_filter1d

    parts = []
    for lead in range(len(LEADS)):
        score = score_lead(truth[:, lead], signal[:, lead], FS_HZ)
        if score is None or score.covered == 0:
            continue
        shift, n = round(score.shift_s * FS_HZ), len(truth)
        error = np.abs(truth[:, lead] - moved(signal[:, lead], shift, n) - score.offset_mv)
        known = np.isfinite(error)
        steps = np.abs(np.diff(np.nan_to_num(signal[:, lead]), prepend=0.0))
        steep = maximum_filter1d(steps, round(2 * NEAR_S * FS_HZ) + 1)
        sure = moved(confidence[:, lead], shift, n)
        parts.append(Samples(sure[known], error[known], moved(steep, shift, n)[known], 0))
    return replace(joined(parts), pages=1)


def samples_of_page(image: Path) -> Samples:
    """Samples of one page with a truth beside it, digitized now; none if it is refused."""
    from ecg4u.digitize import digitize
    from ecg4u.errors import ECG4UError

    given = np.load(image.with_suffix(".npz"))
    names = [str(name) for name in given["sig_name"]]
    truth = np.asarray(given["p_signal"][:, [names.index(n) for n in LEADS]], float)
    assert float(given["fs"]) == FS_HZ
    try:
        record = digitize(image)
    except ECG4UError:
        return joined([])
    assert record.confidence is not None
    return samples_of(truth, np.asarray(record.p_signal), np.asarray(record.confidence))


def gather(images: Path, workers: int) -> dict[str, dict[str, Samples]]:
    """Samples of every group, by half."""
    from concurrent.futures import ProcessPoolExecutor

    jobs = jobs_of(images, "")
    found: dict[str, dict[str, list[Samples]]] = {}
    with ProcessPoolExecutor(workers) as pool:
        parts = pool.map(samples_of_page, [image for image, _, _ in jobs])
        for (image, _, half), part in zip(jobs, parts, strict=True):
            found.setdefault(half, {}).setdefault(group_of(image), []).append(part)
    return {half: {g: joined(p) for g, p in groups.items()} for half, groups in found.items()}


def joined(parts: Sequence[Samples]) -> Samples:
    """The samples of several together."""

    def together(field: str) -> Array:
        return np.concatenate([getattr(part, field) for part in parts] or [np.zeros(0)])

    return Samples(
        together("confidence"),
        together("error_mv"),
        together("steepness"),
        sum(part.pages for part in parts),
    )


def curve(samples: Samples) -> list[tuple[float, float, int, float, float, float]]:
    """Per bin of confidence: its ends, n, median and 90th percentile error, share of wrong ones."""
    rows = []
    for low, high in pairwise(EDGES):
        inside = (samples.confidence >= low) & (samples.confidence < high)
        error = samples.error_mv[inside]
        if len(error):
            middle, most = (float(v) for v in np.percentile(error, (50, 90)))
            wrong = float(np.mean(error > WRONG_MV))
            rows.append((float(low), float(high), len(error), middle, most, wrong))
    return rows


def told_apart(samples: Samples, by: Array) -> float:
    """Chance that a wrong sample (over 0.1 mV) has more of ``by`` than a right one; ties half."""
    from scipy.stats import rankdata

    wrong = samples.error_mv > WRONG_MV
    n, m = int(wrong.sum()), int((~wrong).sum())
    if n == 0 or m == 0:
        return float("nan")
    ranks = rankdata(by)
    return float((ranks[wrong].sum() - n * (n + 1) / 2) / (n * m))


def table(groups: dict[str, Samples]) -> str:
    """The bins over all pages, then each group's power to tell wrong samples."""
    every = joined(list(groups.values()))
    lines = [
        f"{len(every.error_mv)} samples of {every.pages} pages.\n",
        "| confidence | share of samples | median error mV | 90th percentile mV | over 0.1 mV |",
        "|---|---|---|---|---|",
    ]
    for low, high, n, middle, most, wrong in curve(every):
        lines.append(
            f"| {low:.2f} to {min(high, 1.0):.2f} | {n / len(every.error_mv):.1%} "
            f"| {middle:.3f} | {most:.3f} | {wrong:.1%} |"
        )
    lines += [
        "\nHow well samples over 0.1 mV are told from the others (AUROC):\n",
        "| pages | n | over 0.1 mV | by low confidence | by steepness |",
        "|---|---|---|---|---|",
    ]
    for name, group in (*groups.items(), ("all", every)):
        wrong = float(np.mean(group.error_mv > WRONG_MV))
        powers = [told_apart(group, by) for by in (-group.confidence, group.steepness)]
        lines.append(
            f"| {name} | {group.pages} | {wrong:.1%} | {powers[0]:.2f} | {powers[1]:.2f} |"
        )
    return "\n".join(lines) + "\n"


def draw(groups: dict[str, Samples], path: Path) -> None:
    """Confidence against error: median and 90th percentile per bin, all pages together."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows = curve(joined(list(groups.values())))
    at = [(low + min(high, 1.0)) / 2 for low, high, *_ in rows]
    figure, axes = plt.subplots(figsize=(5.0, 3.2), dpi=110, layout="constrained")
    axes.plot(at, [1000 * row[4] for row in rows], "o-", label="90th percentile")
    axes.plot(at, [1000 * row[3] for row in rows], "s-", label="median")
    axes.set(xlabel="confidence of a sample", ylabel="absolute error, µV", ylim=(0, None))
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    plt.close(figure)


def main() -> None:
    """Write the table and the plot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("images", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    halves = gather(args.images, args.workers)
    said = "# Does the confidence of a sample predict its error?\n"
    for half, groups in halves.items():
        said += f"\n## {half} half\n\n{table(groups)}"
    print(said)
    if args.out is not None:
        args.out.write_text(said)
    if args.plot is not None:
        draw(halves["held-out"], args.plot)


if __name__ == "__main__":
    main()
