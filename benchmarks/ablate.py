"""What each stage of the digitizer brings and costs, and two simple readers beside it.

    python -m benchmarks.ablate ../shared/images --log cache/ablation.jsonl \
        --out benchmarks/results/ablation.md

Dev half only (even place in the group, sorted by name). One stage at a time is replaced by a
simpler one. Stages that a variant has in common with the whole digitizer run once a page; their CPU
seconds count in each. The log holds one line per page and is gone on with: delete it after any
change.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks.baseline import column_median, naive, printed_on
from benchmarks.classical import classical_ink
from benchmarks.digitize import group_of, jobs_of
from benchmarks.measure import resample, score_lead
from ecg4u.digitize import pipeline, restore
from ecg4u.digitize.page.rectified import NODE_PX, RectifiedPage
from ecg4u.digitize.page.sheet import warp_image
from ecg4u.digitize.page.warp import apply_homography, fit_homography
from ecg4u.digitize.rectify import rectify
from ecg4u.digitize.result import Digitization
from ecg4u.digitize.rows import stroke, trace
from ecg4u.errors import ECG4UError
from ecg4u.io import Page, read_page
from ecg4u.record import LEADS

Floats = np.ndarray[Any, np.dtype[np.float64]]
Swap = tuple[Any, str, Any]

WHOLE = "the digitizer"


def globally(page: Page, *_options: Any) -> RectifiedPage:
    """The page flattened by the one homography that comes nearest to the local warp."""
    flat = rectify(page)
    rows, columns = flat.nodes.shape[:2]
    at = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1).astype(float)
    paper = flat.valid[::NODE_PX, ::NODE_PX][:rows, :columns]
    there, _ = fit_homography(at[paper], flat.nodes[paper], np.ones(int(paper.sum())))
    nodes = apply_homography(there, at)
    image, valid = warp_image(page.image, nodes, paper)
    return replace(flat, image=image, valid=valid, nodes=nodes)


VARIANTS: dict[str, tuple[Swap, ...]] = {
    WHOLE: (),
    "one homography, no local warp": ((pipeline, "rectify", globally),),
    "classical ink, no network": ((pipeline, "find_ink", classical_ink),),
    "each row followed alone": (
        (trace, "_together", lambda small, _, alone, __: (alone, np.zeros((len(alone), 1, 1)))),
        (trace, "explain_spikes", lambda _, __, paths, *___: paths),
    ),
    "edges at 1 place a pixel, not 3": (
        (stroke, "FINE", 1),
        (stroke, "MIDDLE", 0),
        (trace, "FINE", 1),
        (trace, "MIDDLE", 0),
    ),
    "curve not settled": ((stroke, "_settled", lambda curve, *_: curve),),
    "no Einthoven correction": ((restore, "reconciled", lambda signal, **_: signal),),
    "strips keep their read names": ((pipeline, "rename_strips", lambda layout, _: layout),),
}
LATE = ("reconciled", "rename_strips")
"""What is replaced after the rows are measured."""
SIMPLE = ("column median on the same flat page", "no stage: threshold and column median")


class Kept:
    """Stages that run once a page; ``saved`` is the CPU time that a reuse spared."""

    def __init__(self) -> None:
        self.results: dict[tuple[str, str], tuple[Any, float]] = {}
        self.saved = 0.0

    def once(self, name: str, of: str, stage: Callable[..., Any]) -> Callable[..., Any]:
        """``stage``, run for the first time only."""

        def run(*given: Any, **options: Any) -> Any:
            if (name, of) in self.results:
                result, seconds = self.results[name, of]
                self.saved += seconds
                return result
            start = time.process_time()
            result = stage(*given, **options)
            self.results[name, of] = result, time.process_time() - start
            return result

        return run


@contextmanager
def swapped(swaps: tuple[Swap, ...], kept: Kept) -> Iterator[None]:
    """The pipeline with some functions replaced, and its first stages run once a page."""
    flat = globally if any(new is globally for _, _, new in swaps) else pipeline.rectify
    early = [name for _, name, _ in swaps if name not in LATE]
    ink = "/".join(name for name in early if name in ("rectify", "find_ink"))
    with ExitStack() as stack:
        for owner, name, new in swaps:
            stack.enter_context(patch.object(owner, name, new))
        for name, of, stage in (
            ("rectify", flat.__name__, flat),
            ("read_upright", flat.__name__, pipeline.read_upright),
            ("read_printed_scale", flat.__name__, pipeline.read_printed_scale),
            ("find_ink", ink, pipeline.find_ink),
            ("_rows", "/".join(early), pipeline._rows),
        ):
            stack.enter_context(patch.object(pipeline, name, kept.once(name, of, stage)))
        yield


def scores_of(truth_path: Path, signal: Floats | None) -> dict[str, float]:
    """SNR of each shown lead of signals (n, 12) at 500 Hz; 0 throughout for None."""
    truth = np.load(truth_path)
    fs = float(truth["fs"])
    scores = {}
    for column, lead in enumerate(truth["sig_name"]):
        reference = np.asarray(truth["p_signal"][:, column], float)
        estimate = np.full(len(reference), np.nan)
        if signal is not None:
            estimate = resample(signal[:, LEADS.index(str(lead))], 500.0, fs)
        score = score_lead(reference, estimate, fs)
        if score is not None:
            scores[str(lead)] = round(score.snr_db, 3)
    return scores


def ablate(image: Path, truth: Path, records: Path | None) -> dict[str, Any]:
    """Every variant's scores and CPU seconds on one page."""
    page, kept, out = read_page(image), Kept(), {}
    whole: Digitization | None = None
    for name, swaps in VARIANTS.items():
        kept.saved, start = 0.0, time.process_time()
        result = None
        try:
            with swapped(swaps, kept):
                result = pipeline.digitize_page(page)
        except ECG4UError as error:
            print(f"{image.name}: {name}: {error}", flush=True)
        seconds = time.process_time() - start + kept.saved
        whole = result if name == WHOLE else whole
        signal = None if result is None else result.record.p_signal
        out[name] = {"scores": scores_of(truth, signal), "cpu_s": round(seconds, 2)}
    for name, read in (
        (SIMPLE[0], lambda: None if whole is None else column_median(whole)),
        (SIMPLE[1], lambda: naive(page.image, printed_on(group_of(image)))),
    ):
        start = time.process_time()
        signal = read()
        seconds = time.process_time() - start
        out[name] = {"scores": scores_of(truth, signal), "cpu_s": round(seconds, 2)}
    if records is not None and whole is not None:
        records.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(
            records / f"{image.stem}.npz",
            p_signal=whole.record.p_signal.astype(np.float32),
            confidence=np.asarray(whole.record.confidence, np.float32),
        )
    return out


def table(pages: list[dict[str, Any]]) -> str:
    """SNR per group and CPU seconds of every variant, as far as pages are done."""
    groups = sorted({p["group"] for p in pages})
    counts = {g: sum(p["group"] == g for p in pages) for g in groups}
    lines = [
        "| reader | "
        + " | ".join(f"{g} ({counts[g]})" for g in groups)
        + f" | all ({len(pages)}) | CPU s/page |",
        "|---" * (len(groups) + 3) + "|",
    ]
    for name in (*VARIANTS, *SIMPLE):

        def mean(chosen: list[dict[str, Any]], name: str = name) -> str:
            scores = [v for p in chosen for v in p["variants"][name]["scores"].values()]
            return f"{np.mean(scores):.2f}"

        cells = [mean([p for p in pages if p["group"] == g]) for g in groups]
        seconds = np.median([p["variants"][name]["cpu_s"] for p in pages])
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {mean(pages)} | {seconds:.1f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run what the log does not hold yet, and write the table after every page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("images", type=Path)
    parser.add_argument("--log", type=Path, default=Path("cache/ablation.jsonl"))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--records", type=Path, help="keep the records read, for other measures")
    args = parser.parse_args()
    args.log.parent.mkdir(parents=True, exist_ok=True)
    pages = (
        [json.loads(line) for line in args.log.read_text().splitlines()]
        if (args.log.exists())
        else []
    )
    done = {p["page"] for p in pages}
    groups: dict[str, list[tuple[Path, Path]]] = {}
    for image, truth, half in jobs_of(args.images, ""):
        if half == "dev":
            groups.setdefault(group_of(image), []).append((image, truth))
    turns = [job for turn in zip_longest(*groups.values()) for job in turn if job is not None]
    for image, truth in turns:
        if image.name in done:
            continue
        variants = ablate(image, truth, args.records)
        pages.append({"page": image.name, "group": group_of(image), "variants": variants})
        with args.log.open("a") as log:
            log.write(json.dumps(pages[-1]) + "\n")
        print(
            image.name,
            {k: round(float(np.mean(list(v["scores"].values()))), 2) for k, v in variants.items()},
            flush=True,
        )
        if args.out is not None:
            args.out.write_text(table(pages))
    print(table(pages))


if __name__ == "__main__":
    main()
