"""Train the reader of printed scales on lines drawn in many fonts.

    python -m training.train_printed ../shared/ecg --steps 6000 --seed 0

Half of the lines are drawn by themselves: scales in the spellings of many devices with any number
in them, other words of ECG headers, dates and random letters, and what is no print at all. The
others stand on drawn pages about a scale's unit (`training.train_units`, whose crops are kept for
both). Goes on from the kept weights, or from the checkpoint where there is one. Fonts as in
`training.train_names`; every fifth is kept for validation only.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ecg4u.digitize.text.names import scaled
from ecg4u.digitize.text.printed import (
    LINE_PX,
    PARAMS,
    STEP_PX,
    SYMBOLS,
    Line,
    decode,
    line_window,
    scale_of,
)
from ecg4u.paper.surface import smooth_noise
from training.page_networks import READER_OF_PRINT
from training.phrases import phrase, read_as
from training.steps import take_steps
from training.train_names import Face, find_faces, grid, split_faces, taken, word_ink
from training.train_units import Line as OnPage
from training.train_units import crops_of

if TYPE_CHECKING:
    from torch import Tensor

Pixels = npt.NDArray[Any]

WIDTH_PX = 320
WORN = 0.3
"""Share of the lines whose ink has faded or come off."""
BATCH = 32
ON_PAGES = 0.5
"""Share of the lines that stand on drawn pages."""
VALIDATION = 1600
VALIDATION_PAGES = 40


def line(rng: np.random.Generator, faces: list[Face]) -> tuple[Pixels, str]:
    """A line as the network sees it, (24, n) uint8, and what it says in `SYMBOLS`."""
    import cv2

    text = " ".join(phrase(rng).split())
    face = faces[int(rng.integers(len(faces)))]
    tall = round(float(np.exp(rng.uniform(*np.log((12, 26))))))
    word = (
        word_ink(text, face, tall, rng) if rng.random() > 0.06 else np.zeros((tall, 90), np.uint8)
    )
    if not word.any():
        text = ""
    high, wide = word.shape
    shape = (high + tall + 20, wide + tall + 20)
    ink: Pixels = grid(rng, shape) if rng.random() < 0.75 else np.zeros(shape, np.uint8)
    top, left = (shape[0] - high) // 2, (shape[1] - wide) // 2
    strength = int(rng.integers(150, 256))
    shade = (word.astype(np.uint16) * strength // 255).astype(np.uint8)
    if rng.random() < WORN:
        shade = _worn(shade, rng)
    part = ink[top : top + high, left : left + wide]
    np.maximum(part, shade, out=part)
    if rng.random() < 0.2 or not text:
        _curve(ink, rng, tall)
    if rng.random() < 0.6:
        turn = cv2.getRotationMatrix2D((shape[1] / 2, shape[0] / 2), float(rng.normal(0, 0.7)), 1)
        ink = np.asarray(cv2.warpAffine(ink, turn, shape[::-1], flags=cv2.INTER_LINEAR))
    grow = rng.normal(0.02, 0.06, 4) * high
    box = (left - grow[0], top - grow[1], left + wide + grow[2], top + high + grow[3])
    return line_window(taken(ink, rng), box), read_as(text)


def _worn(ink: Pixels, rng: np.random.Generator) -> Pixels:
    """Ink that has faded along the line, or come off in spots."""
    grain = smooth_noise(rng, ink.shape, float(rng.uniform(1.5, 5.0)))
    fade = 0.6 + 0.4 * smooth_noise(rng, ink.shape, 2.0 * ink.shape[0])
    off = float(rng.uniform(0.2, 1.2))
    hold = np.clip(0.5 - 3.0 * (grain - 2.2 + off), 0.05, 1.0) * np.clip(fade, 0.25, 1.0)
    return (ink * hold).astype(np.uint8)


def _curve(ink: Pixels, rng: np.random.Generator, tall: int) -> None:
    """A trace near the line, seldom through it."""
    import cv2

    x = np.arange(0, ink.shape[1], 3.0)
    y = np.cumsum(rng.normal(0, 1.0, len(x))) + rng.choice([-1, 1]) * rng.uniform(0.7, 1.5) * tall
    points = np.stack([x, ink.shape[0] / 2 + y], axis=1).round().astype(np.int32)
    cv2.polylines(ink, [points[:, None]], False, 220, int(rng.integers(1, 5)), cv2.LINE_AA)


def batch(  # type: ignore[no-untyped-def]
    rng: np.random.Generator,
    faces: list[Face],
    on_pages: Sequence[OnPage],
    share: float,
    count: int,
):
    """Padded lines (n, 1, 24, `WIDTH_PX`), their lengths in steps, and what they say; so many of
    them ``on_pages``."""
    import torch

    crops = np.zeros((count, 1, LINE_PX, WIDTH_PX), np.float32)
    steps: list[int] = []
    texts: list[str] = []
    while len(texts) < count:
        if rng.random() < share:
            crop, text = on_pages[int(rng.integers(len(on_pages)))]
        else:
            crop, text = line(rng, faces)
        if crop.shape[1] > WIDTH_PX or crop.shape[1] // STEP_PX < 2 * len(text) + 1:
            continue
        crops[len(texts), 0, :, : crop.shape[1]] = scaled(crop[None])[0]
        steps.append(crop.shape[1] // STEP_PX)
        texts.append(text)
    return torch.from_numpy(crops), torch.tensor(steps), texts


def _loss(net, crops, steps, texts):  # type: ignore[no-untyped-def]
    import torch

    out = net(crops).log_softmax(dim=1).permute(2, 0, 1)
    targets = torch.tensor([SYMBOLS.index(letter) + 1 for text in texts for letter in text])
    lengths = torch.tensor([len(text) for text in texts])
    return torch.nn.functional.ctc_loss(out, targets, steps, lengths, zero_infinity=True)


def figures(net, crops, steps, texts) -> dict[str, object]:  # type: ignore[no-untyped-def]
    """Lines read without a fault, and scales that are read rightly, wrongly, or not at all."""
    import torch

    net.eval()
    with torch.inference_mode():
        out = net(crops).softmax(dim=1).numpy()
    exact = right = wrong = silent = invented = shown = 0
    for row, n, text in zip(out, steps.tolist(), texts, strict=True):
        read = decode(row[:, :n])
        exact += read.text == text
        truth = _values(scale_of([(Line(text, (1.0,) * len(text)),) * PARAMS.agreeing]))
        said = _values(scale_of([(read,) * PARAMS.agreeing]))
        shown += len(truth)
        right += len(truth & said)
        invented += len(said - truth) if not truth else 0
        wrong += len(said - truth) if truth else 0
        silent += len({kind for kind, _ in truth} - {kind for kind, _ in said})
    return {
        "lines": len(texts),
        "lines_without_fault": round(exact / len(texts), 4),
        "values_printed": shown,
        "read_rightly": right,
        "read_wrongly": wrong,
        "not_read": silent,
        "read_where_none_is": invented,
        "least_probability": PARAMS.sure,
        "readings": "one (a page is read at three sizes, which must agree)",
    }


def _values(scale) -> set[tuple[str, float]]:  # type: ignore[no-untyped-def]
    named = {
        "speed": scale.speed_mm_per_s,
        "gain": scale.gain_mm_per_mv,
        "chest": scale.chest_gain_mm_per_mv,
    }
    return {(kind, value) for kind, value in named.items() if value is not None}


def main() -> None:
    """Train and write the weights with their card."""
    import torch

    options = _options()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    train_faces, valid_faces = split_faces(find_faces(options.fonts))
    train_lines, valid_lines = (
        [line for *_, lines in crops_of(options, split, pages, seed) for line in lines]
        for split, pages, seed in (
            ("train", options.pages, options.seed),
            ("valid", VALIDATION_PAGES, options.seed + 1),
        )
    )
    net = READER_OF_PRINT.trained()
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=options.steps + 1)

    def loss_of(step: int) -> Tensor:
        rng = np.random.default_rng((options.seed, step))
        return _loss(net, *batch(rng, train_faces, train_lines, ON_PAGES, BATCH))

    losses = take_steps(
        net,
        optimiser,
        schedule,
        loss_of,
        steps=options.steps,
        checkpoint=options.checkpoint,
        limit=5.0,
    )
    rng = np.random.default_rng(10_000_019)
    valid = batch(rng, valid_faces, valid_lines, 0.0, VALIDATION)
    pages = batch(rng, valid_faces, valid_lines, 1.0, VALIDATION // 2)
    card = {
        "what": "reader of printed scales (ecg4u.digitize.text.printed)",
        "command": f"python -m training.train_printed RECORDS --steps {options.steps} "
        f"--seed {options.seed} --pages {options.pages}",
        "goes_on_from": "weights of 10,000 steps on lines by themselves (commit 039368d)",
        "commit": options.commit,
        "seed": options.seed,
        "steps": len(losses),
        "batch": BATCH,
        "validation": figures(net, *valid) | {"fonts": "unseen in training"},
        "validation_on_pages": figures(net, *pages) | {"fonts": "unseen in training"},
        "last_losses": [round(value, 4) for value in losses[-5:]],
        "data": "lines drawn by training/train_printed.py; no page image was used",
        "fonts": {"train": len(train_faces), "valid": len(valid_faces)},
        "font_licences": "as in names.json",
        "symbols": SYMBOLS,
        "code": "ecg4u 0.1.0",
    }
    READER_OF_PRINT.keep(net, card, options.out)
    print(json.dumps(card, indent=1))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("records", type=Path)
    parser.add_argument("--fonts", type=Path, default=Path("/usr/share/fonts"))
    parser.add_argument("--pages", type=int, default=700)
    parser.add_argument("--workers", type=int, default=2, help="processes that draw pages")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--checkpoint", type=Path, default=Path("cache/printed.pt"))
    parser.add_argument("--out", type=Path, help="folder; default: where this repository has them")
    parser.add_argument("--commit", default="", help="hash of the code that trains, for the card")
    return parser.parse_args()


if __name__ == "__main__":
    main()
