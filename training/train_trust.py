"""Learn how likely a lead was read badly, from drawn pages that were digitized.

    python -m training.train_trust ../shared/ecg --pages 200 --cache cache/trust

Half of the pages are of the recorders in `training.devices`, half of any look that
`ecg4u.paper.style` has; all are scanned or photographed, from flawless to fair. A lead's
signal-to-noise ratio against the recording says whether it was misread. Pages of a wrong scale, of
a wrong name, with fewer traces than were drawn or with most leads misread are left out: what is
wrong there is no single lead. Goes on from the pages in the cache.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ecg4u import __version__
from ecg4u.digitize import digitize_page
from ecg4u.digitize.restore import signals_of
from ecg4u.digitize.signals.agreement import faults
from ecg4u.digitize.signals.trust import (
    MEASURES,
    MISREAD_DB,
    WEIGHTS,
    Curve,
    along,
    chance,
    measures_of,
)
from ecg4u.errors import ECG4UError
from ecg4u.io import Page
from ecg4u.paper.camera import Photo, photograph, random_camera
from ecg4u.paper.draw import draw_page
from ecg4u.paper.style import PageStyle
from training.devices import DEVICES
from training.drawn import boxes_named, look, scale_is_wrong, snr_of
from training.looks import random_layout
from training.pages import PageSampler

Floats = npt.NDArray[np.float64]

SEVERITIES = (0.0, 0.1, 0.3)
PX_PER_MM = (6.0, 12.0)
PAGE_FAULT = 0.6
"""Share of misread leads above which something is wrong with the page."""
FOLDS = 5
PENALTY = 0.2
"""Inverse strength of the ridge penalty on the curves' steps from knot to knot, scikit-learn's
``C``: of .1, .3 and 1 the first two do as well out of fold."""
KNOTS = 6
"""Of each curve, at quantiles of its measure: 4 do worse out of fold, 9 no better."""
OUTERMOST = 0.01
"""Quantile of the first knot; beyond it and its like a measure tells no more."""
GOOD_SHARE = 0.85
"""Share of leads to be called good (the table's columns)."""


def page_of(seed: int, data: Path) -> tuple[Photo, PageStyle, float, float]:
    """A page of one seed, its look, its true px per mm, and the recording's sampling rate."""
    rng = np.random.default_rng((2028, seed))
    record = PageSampler(data, seed=seed).record()
    if seed % 2:
        layout, style = random_layout(rng), look(rng)
    else:
        device = DEVICES[seed // 2 % len(DEVICES)]
        layout, style = device.layout, device.style(rng)
    px_per_mm = float(rng.uniform(*PX_PER_MM))
    camera = random_camera(rng, float(rng.choice(SEVERITIES)), px_per_mm=px_per_mm)
    return photograph(draw_page(record, layout, style), camera), style, px_per_mm, record.fs


def leads_of(seed: int, data: Path) -> tuple[Floats, Floats]:
    """Measures (n, `MEASURES`) and ratio (n,) in dB of the leads of one page."""
    photo, style, px_per_mm, fs = page_of(seed, data)
    nothing = np.zeros((0, len(MEASURES))), np.zeros(0)
    try:
        result = digitize_page(Page(photo.image, "0" * 64))
    except ECG4UError:
        return nothing
    names = boxes_named(result, photo)
    if scale_is_wrong(result, style, px_per_mm) or sum(names) < len(photo.segments):
        return nothing
    assert result.basis is not None
    parts = signals_of(result.basis)
    measures = measures_of(
        parts, faults(parts), float(np.mean(result.rectified.grid.source_px_per_mm))
    )
    ratios = snr_of(result, photo, fs)
    strips = {part.segment.lead for part in parts if part.segment.rhythm}
    kept = [
        i
        for i, part in enumerate(parts)
        if part.segment.lead in ratios and (part.segment.rhythm or part.segment.lead not in strips)
    ]
    return measures[kept], np.array([ratios[parts[i].segment.lead] for i in kept])


def collected(
    seeds: Sequence[int], data: Path, cache: Path
) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
    """`leads_of` many pages, each kept in the cache, and the page of each lead."""
    cache.mkdir(parents=True, exist_ok=True)
    pages = []
    for seed in seeds:
        file = cache / f"{seed}.npz"
        if not file.exists():
            measures, ratio = leads_of(seed, data)
            np.savez(file, measures=measures, ratio=ratio)
            low = int(np.sum(ratio < MISREAD_DB))
            print(f"page {seed}: {len(ratio)} leads, {low} misread", flush=True)
        pages.append(dict(np.load(file)))
    return (
        np.concatenate([page["measures"] for page in pages]),
        np.concatenate([page["ratio"] for page in pages]),
        np.repeat(np.arange(len(pages)), [len(page["ratio"]) for page in pages]),
    )


def fitted(measures: Floats, misread: npt.NDArray[np.bool_]) -> tuple[list[Curve], float]:
    """Curves over the measures whose sum tells misread leads from others, and the bias."""
    from sklearn.linear_model import LogisticRegression

    ends = np.linspace(OUTERMOST, 1 - OUTERMOST, KNOTS)
    knots = [np.unique(np.nanquantile(column, ends)) for column in measures.T]
    # A step for each knot but the first: it counts for what lies beyond, wholly or in part.
    steps = [
        np.stack(
            [
                along(column, at, (np.arange(len(at)) >= k).astype(np.float64))
                for k in range(1, len(at))
            ],
            axis=1,
        )
        if len(at) > 1
        else np.zeros((len(column), 0))
        for column, at in zip(measures.T, knots, strict=True)
    ]
    model = LogisticRegression(C=PENALTY, max_iter=3000)
    model.fit(np.hstack(steps), misread)
    parts = np.split(model.coef_[0], np.cumsum([step.shape[1] for step in steps])[:-1])
    heights = [np.concatenate([[0.0], np.cumsum(part)]) for part in parts]
    return list(zip(knots, heights, strict=True)), float(model.intercept_[0])


def out_of_fold(
    measures: Floats, misread: npt.NDArray[np.bool_], page: npt.NDArray[np.int64]
) -> Floats:
    """Probability (n,) of each lead by models that did not see its page."""
    found = np.zeros(len(misread))
    for fold in range(FOLDS):
        held = page % FOLDS == fold
        found[held] = chance(measures[held], *fitted(measures[~held], misread[~held]))
    return found


def _of_faulty_pages(
    misread: npt.NDArray[np.bool_], page: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Which leads are of pages that were misread as a whole."""
    counts = np.bincount(page)
    share = np.bincount(page, weights=misread) / np.maximum(counts, 1)
    return np.asarray(share[page] > PAGE_FAULT)


def _stretches(seeds: Sequence[int]) -> list[tuple[int, int]]:
    """First and last of each run of whole numbers, in ascending order."""
    runs = np.split(np.array(seeds), np.flatnonzero(np.diff(seeds) > 1) + 1)
    return [(int(run[0]), int(run[-1])) for run in runs]


def _rounded(values: Floats) -> list[float]:
    return [float(f"{value:.5g}") for value in values]


def main() -> None:
    """Collect, fit, and write the weights with their card."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, help="Folder of records; those for training are drawn.")
    parser.add_argument("--pages", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="First seed.")
    parser.add_argument("--cache", type=Path, default=Path("cache/trust"))
    parser.add_argument("--cached", action="store_true", help="Only the pages in the cache.")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    options = parser.parse_args()
    from sklearn.metrics import roc_auc_score

    seeds: Sequence[int] = range(options.first, options.first + options.pages)
    if options.cached:
        seeds = [seed for seed in seeds if (options.cache / f"{seed}.npz").exists()]
    measures, ratio, page = collected(seeds, options.data, options.cache)
    seen = np.isfinite(measures[:, 0]) & ~_of_faulty_pages(ratio < MISREAD_DB, page)
    measures, ratio, page = measures[seen], ratio[seen], page[seen]
    misread = ratio < MISREAD_DB
    unseen = out_of_fold(measures, misread, page)
    surest = np.argsort(unseen)[: round(GOOD_SHARE * len(unseen))]
    curves, bias = fitted(measures, misread)
    card = {
        "what": "curves of ecg4u.digitize.signals.trust",
        "command": f"python -m training.train_trust RECORDS --pages {options.pages} "
        f"--first {options.first}{' --cached' * options.cached}",
        "code": f"ecg4u {__version__}",
        "seeds": ", ".join(f"{a} to {b}" for a, b in _stretches(seeds)),
        "pages": int(len(np.unique(page))),
        "leads": len(misread),
        "misread": round(float(misread.mean()), 4),
        "auroc_out_of_fold": round(float(roc_auc_score(misread, unseen)), 4),
        "misread_among_the_surest_85_percent": round(float(misread[surest].mean()), 4),
        "bias": float(f"{bias:.5g}"),
        "measures": [
            {"measure": name, "knots": _rounded(at), "log_odds": _rounded(heights)}
            for name, (at, heights) in zip(MEASURES, curves, strict=True)
        ],
    }
    options.out.write_text(json.dumps(card, indent=1) + "\n")
    print({key: value for key, value in card.items() if key != "measures"})


if __name__ == "__main__":
    main()
