"""Train what finds the units of printed scales, "mm/s" and "mm/mV", on pages that are drawn.

    python -m training.train_units ../shared/ecg --pages 700 --steps 6000 --seed 0

They are told by what the finder of names (`training.train_places`) sees: its weights stay as they
are, and so do the names that it finds; some layers more are trained beside its last one. Crops,
fonts and splits are as there. Windows about the units, with what they say, are kept for the reader
of print (`training.train_printed`).

Goes on from the checkpoint where there is one; crops are kept beside it.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ecg4u.digitize.networks import WEIGHTS as SHIPPED
from ecg4u.digitize.page.rectified import PrintOnPage
from ecg4u.digitize.text.labels import CELL_PX, HALVED, PARAMS, UNITS
from ecg4u.digitize.text.names import PX_PER_MM
from ecg4u.digitize.text.printed import LINE_PX, line_window, with_number
from ecg4u.paper.text import width_of
from training.page_networks import FINDER_OF_NAMES
from training.pages import PageSampler, TrainingPage
from training.phrases import phrase, read_as
from training.steps import take_steps
from training.train_names import OPEN, Box, Face, word_ink
from training.train_places import (
    DEPTHS,
    TWO_TONES,
    batch,
    drawn_crops,
    in_bytes,
    lay,
    loss_of,
    near,
    options_of,
    short,
    source,
)

if TYPE_CHECKING:
    from torch import Tensor

Pixels = npt.NDArray[Any]
Line = tuple[Pixels, str]
"""A window as the reader of print sees it, (24, n) uint8, and what it says in `SYMBOLS`."""
Crop = tuple[Pixels, npt.NDArray[np.float32], list[Line]]
"""What the finder sees, (3, S, S) uint8; units: (n, 5) place in `UNITS`, box in its px; lines."""

BATCH = 16
CROP_PX = 512
CROPS_PER_PAGE = 12
AT_LINES, AT_TOP = 0.6, 0.15
"""Share of the crops about a line of words, and in the top quarter of the page."""
OFF_MM = 11.0
"""How far from a crop's middle a unit is, one sd."""
WORDS = 3.0
"""Lines laid over a crop, on average."""
WORD_PX = (13, 40)
"""Heights of their capitals."""
NONE = len(UNITS)
UNIT = re.compile(r"mm ?/ ?(?:s(?:ec)?|mv)(?![a-z])")
VALIDATION_PAGES = 40
SURE = 0.9
"""Probability from which a unit is seen for sure."""
JITTER = 0.08
"""How far off a box is for the reader, one sd, as a share of its height."""
MOST_SYMBOLS = 34


def units_of(words: str) -> list[tuple[int, int, int]]:
    """Place in `UNITS`, first letter and end of each unit in a line of words."""
    return [
        (0 if "mm/s" in match.group().replace(" ", "") else 1, match.start(), match.end())
        for match in UNIT.finditer(words.lower())
    ]


def page_crops(number: int, *, records: Path, fonts: Path, split: str, seed: int) -> list[Crop]:
    """Crops of one page of a split; the same for the same number and seed."""
    import cv2

    cv2.setNumThreads(1)
    sampler, faces = source(records, fonts, split)
    sampler.rng = np.random.default_rng((seed, 11, number))
    page = sampler.page()
    return [_crop(sampler, page, faces) for _ in range(CROPS_PER_PAGE)]


def _crop(sampler: PageSampler, page: TrainingPage, faces: list[Face]) -> Crop:
    rng = sampler.rng
    patch = sampler.crop(page, _place(page, rng))
    image = patch.image.copy()
    written: list[tuple[str, Box, list[float]]] = []
    for n, box in patch.lines:
        own = page.drawn.lines[n]
        written.append((own.words, box, _ends(own.words, own.font, own.height_px)))
    taken = [box for _, box in patch.labels] + [box for _, box, _ in written]
    written += _laid_lines(image, taken, faces, rng)
    units: list[tuple[float, ...]] = []
    lines: list[Line] = []
    grey = PrintOnPage.of(image, PX_PER_MM).grey
    for words, (x0, y0, x1, y1), ends in written:
        at = [x0 + (x1 - x0) * end for end in ends]
        for unit, first, end in units_of(words):
            box = at[first], y0, at[end], y1
            inside = min(box[:2]) > 2 and max(box[2:]) < CROP_PX - 2
            units.append((unit if inside else OPEN, *box))
            if inside and (line := _line(grey, words, at, box, rng)) is not None:
                lines.append(line)
    boxes = np.array(units, np.float32).reshape(-1, 5)
    boxes[:, 1:] /= HALVED
    return in_bytes(image), boxes, lines


def _line(
    grey: Pixels, words: str, at: list[float], box: Box, rng: np.random.Generator
) -> Line | None:
    """What the reader sees of a unit with its number, and what it says; None at the crop's edge."""
    off = rng.normal(0, JITTER, 4) * (box[3] - box[1])
    x0, y0, x1, y1 = with_number(tuple(np.add(box, off)))
    if min(x0, y0) < 0 or max(x1, y1) >= CROP_PX:
        return None
    said = [letter for k, letter in enumerate(words) if x0 <= (at[k] + at[k + 1]) / 2 <= x1]
    window = line_window(grey, (x0, y0, x1, y1), float(rng.uniform(1.35, 1.9)))
    return window, read_as("".join(said))[:MOST_SYMBOLS]


def _ends(words: str, font: str, height: float) -> list[float]:
    """Where each letter begins, and the last ends, as shares of the line's width."""
    widths = [0, *(width_of(words[:k], height, font) for k in range(1, len(words) + 1))]
    return [width / max(widths[-1], 1) for width in widths]


def _place(page: TrainingPage, rng: np.random.Generator) -> npt.NDArray[np.float64] | None:
    """The middle of a crop in mm: near a unit, in the page's heading, or wherever (None)."""
    own, choice = page.drawn, rng.random()
    lines = [line for line in own.lines if units_of(line.words)] or list(own.lines)
    if choice < AT_LINES and lines:
        x0, y0, x1, y1 = lines[int(rng.integers(len(lines)))].box
        middle = np.array([rng.uniform(x0, x1), (y0 + y1) / 2]) / own.px_per_mm
        return np.asarray(middle + rng.normal(0, OFF_MM, 2))
    if choice < AT_LINES + AT_TOP:
        height, width = own.trace.shape
        return np.asarray(rng.uniform((0, 0), (width, height / 4)) / own.px_per_mm)
    return None


def _laid_lines(
    image: Pixels, taken: list[Box], faces: list[Face], rng: np.random.Generator
) -> list[tuple[str, Box, list[float]]]:
    """Lay lines over a crop where none stand yet: words, boxes, and ends of letters."""
    two_tones = len(np.unique(image[::7, ::7])) < TWO_TONES
    laid = []
    for _ in range(int(rng.poisson(WORDS))):
        face = faces[int(rng.integers(len(faces)))]
        tall = round(float(np.exp(rng.uniform(*np.log(WORD_PX)))))
        words = phrase(rng)
        ink = word_ink(words, face, tall, rng)
        high, wide = ink.shape
        if wide >= CROP_PX - 4 or high < 5 or not words:
            continue
        x, y = int(rng.integers(2, CROP_PX - wide - 2)), int(rng.integers(2, CROP_PX - high - 2))
        box = (float(x), float(y), float(x + wide), float(y + high))
        if any(near(box, other) for other in taken):
            continue
        lay(image[y : y + high, x : x + wide], ink, two_tones, rng)
        taken.append(box)
        laid.append((words, box, _face_ends(words, face)))
    return laid


def _face_ends(words: str, face: Face) -> list[float]:
    import cv2
    from PIL import ImageFont

    if isinstance(face.path, int):
        number = face.path
        widths = [cv2.getTextSize(words[:k], number, 2.0, 3)[0][0] for k in range(len(words) + 1)]
    else:
        font = ImageFont.truetype(face.path, 40)
        widths = [font.getlength(words[:k]) for k in range(len(words) + 1)]
    return [(width - widths[0]) / max(widths[-1] - widths[0], 1) for width in widths]


def main() -> None:
    """Train the layers for units, and write the finder's weights and card with them."""
    import torch
    from safetensors.torch import load_file

    options = options_of(main.__doc__, pages=700, steps=6000, checkpoint="cache/units.pt")
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    valid = crops_of(options, "valid", VALIDATION_PAGES, options.seed + 1)
    crops = crops_of(options, "train", options.pages, options.seed)
    net: Any = FINDER_OF_NAMES.build()
    trained = load_file(FINDER_OF_NAMES.weights)
    net.load_state_dict(
        {key: value for key, value in trained.items() if not key.startswith("units.")},
        strict=False,
    )
    optimiser = torch.optim.AdamW(net.units.parameters(), lr=2e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, 3e-3, total_steps=options.steps + 1, pct_start=0.15
    )

    def loss_at(step: int) -> Tensor:
        rng = np.random.default_rng((options.seed, 7, step))
        chosen = [crops[i] for i in rng.integers(len(crops), size=BATCH)]
        seen, named, sides = _batch(chosen, rng.uniform(*DEPTHS, (BATCH, 1, 1, 1)))
        net.eval()
        net.units.train()
        with torch.autocast("cpu", torch.bfloat16, enabled=short()):
            with torch.no_grad():
                joined = net.seen(seen.contiguous(memory_format=torch.channels_last))
            answer = net.units(joined)
        return loss_of(answer.float(), named, sides, NONE)

    losses = take_steps(
        net,
        optimiser,
        schedule,
        loss_at,
        steps=options.steps,
        checkpoint=options.checkpoint,
        limit=2.0,
    )
    card = json.loads((SHIPPED / f"{FINDER_OF_NAMES.name}.json").read_text())
    card["units"] = {
        "validation": figures(net, valid, card["temperature"]),
        "command": f"python -m training.train_units RECORDS --steps {options.steps}"
        f" --seed {options.seed} --pages {options.pages}",
        "commit": options.commit,
        "seed": options.seed,
        "steps": len(losses),
        "batch": BATCH,
        "last_losses": [round(value, 4) for value in losses[-5:]],
        "data": "as above; lines of words by training/phrases.py",
        "crops": {"train": len(crops), "valid": len(valid)},
        "weights": sum(value.numel() for value in net.units.parameters()),
    }
    FINDER_OF_NAMES.keep(net, card, options.out)
    print(json.dumps(card["units"], indent=1))


def crops_of(options: argparse.Namespace, split: str, pages: int, seed: int) -> list[Crop]:
    """`page_crops`, kept beside the checkpoint for the next start."""
    kept = options.checkpoint.with_name(f"units_{split}_{pages}_{seed}.npz")
    if not kept.exists():
        crops = drawn_crops(page_crops, options, split, pages, seed)
        kept.parent.mkdir(parents=True, exist_ok=True)
        lines = [line for _, _, some in crops for line in some]
        np.savez(
            kept,
            seen=np.stack([seen for seen, _, _ in crops]),
            units=np.concatenate([units for _, units, _ in crops]),
            of_units=[len(units) for _, units, _ in crops],
            windows=np.concatenate([window.ravel() for window, _ in lines]),
            long=[window.shape[1] for window, _ in lines],
            said=[said for _, said in lines],
            of_lines=[len(some) for _, _, some in crops],
        )
    with np.load(kept) as data:
        high = LINE_PX * np.cumsum(data["long"])[:-1]
        windows = [part.reshape(LINE_PX, -1) for part in np.split(data["windows"], high)]
        lines = list(zip(windows, data["said"].tolist(), strict=True))
        units = np.split(data["units"], np.cumsum(data["of_units"])[:-1])
        ends = np.cumsum(data["of_lines"]).tolist()
        of_crops = [lines[a:b] for a, b in zip([0, *ends], ends, strict=False)]
        return list(zip(data["seen"], units, of_crops, strict=True))


def _batch(crops: list[Crop], depths: Pixels | float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    return batch([(seen, units) for seen, units, _ in crops], depths, NONE)


def figures(net: Any, crops: list[Crop], temperature: float) -> dict[str, object]:
    """How many units are found, by what is said at their middles, and what else is surely taken for
    one.

    A unit counts as found whichever it is called: the reader of print has the last word.
    """
    import torch

    net.eval()
    found: list[bool] = []
    false = 0
    with torch.inference_mode():
        for first in range(0, len(crops), BATCH):
            some = crops[first : first + BATCH]
            seen, named, _ = _batch(some)
            odds = net.units(net.seen(seen))[:, : NONE + 1]
            a_unit = 1 - (odds / temperature).softmax(1)[:, NONE]
            false += int(((a_unit > SURE) & (named == NONE)).flatten(1).any(1).sum())
            for number, (_, units, _) in enumerate(some):
                for label, x0, y0, x1, y1 in units:
                    if label != OPEN:
                        row, column = int((y0 + y1) / 2 / CELL_PX), int((x0 + x1) / 2 / CELL_PX)
                        found.append(bool(a_unit[number, row, column] >= PARAMS.least_unit))
    return {
        "what": "fonts unseen in training, recordings of the validation split",
        "units": len(found),
        "units_found": round(float(np.mean(found)), 4),
        "crops": len(crops),
        f"crops_with_a_unit_of_{SURE}_where_none_is": round(false / len(crops), 4),
    }


if __name__ == "__main__":
    main()
