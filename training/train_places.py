"""Train the finder of lead names on pages that `ecg4u.paper` draws from the train split.

    python -m training.train_places ../shared/ecg --pages 1000 --steps 8000 --seed 0

Crops of drawn pages (`training.pages`), most of them about names, with words in many fonts laid
over them: names, and others that are none. Some are turned by quarter turns, which makes their
names none: so a page that lies on its side or head is known by what cannot be read on it.

`training.train_units` then trains the layers that find the units of printed scales anew.

Goes on from the checkpoint where there is one; crops are kept beside it. Fonts are those of
`training.train_names`; every fifth is kept for validation only, and pages of the recordings'
validation split.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ecg4u.digitize.text.labels import CELL_PX, HALVED, PARAMS, SIDE_PX, SIDES, seen_by_network
from ecg4u.digitize.text.names import NAMES
from ecg4u.record import LEADS
from training.page_networks import FINDER_OF_NAMES
from training.pages import PageSampler, TrainingPage
from training.steps import take_steps
from training.train_names import (
    BARRED,
    LETTERS,
    NONE,
    OPEN,
    OTHER_WORDS,
    USUAL_LEADS,
    Box,
    Face,
    barred,
    find_faces,
    seen_name,
    spelling,
    split_faces,
    turned_box,
    word_ink,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

Pixels = npt.NDArray[Any]
Crop = tuple[Pixels, npt.NDArray[np.float32]]
"""What the network sees, (3, S, S) uint8, and the names: (n, 5) place in `NAMES`, box in its px."""

BATCH = 16
CROP_PX = 512
CROPS_PER_PAGE = 14
AT_NAMES, AT_TOP = 0.6, 0.15
"""Share of the crops about a name, and in the top quarter of the page, where headings stand."""
OFF_MM = 13.0
"""How far from a crop's middle a name is, one sd."""
WORDS = 3.0
"""Words laid over a crop, on average."""
WORD_PX = (15, 45)
"""Heights of their capitals."""
OF_LEADS = 0.7
"""Share of the words that are names."""
INKS = (
    (20, 20, 20), (30, 30, 60), (20, 20, 120), (10, 70, 20), (150, 20, 20), (60, 60, 60),
)  # fmt: skip
TWO_TONES = 6
"""A crop with fewer colours than this is of a page in black and white."""
CLEAR_PX = (12, 6)
"""Words keep so far from others, across and down."""
WORN = 0.15
"""Share of the words of which dots are missing."""
TURNED = 0.08
LOWEST, RANGE = 0.2, 1.2
"""What `seen_by_network` gives is kept as 8 bits of this range above this much under 0."""
DEPTHS = (0.75, 1.2)
RIM_PX = 3.0
"""So far about a name a cell is neither that name nor paper."""
CORE, CORE_PX = 0.3, 2.01
"""How far from a name's middle, as a share of its sides and at least in px, cells are that name:
half a cell and a little, so that each name has one."""
TAKEN = 0.2
"""Probability from which a cell is taken for a name."""
VALIDATION_PAGES = 40


def page_crops(number: int, *, records: Path, fonts: Path, split: str, seed: int) -> list[Crop]:
    """Crops of one page of a split; the same for the same number and seed."""
    import cv2

    cv2.setNumThreads(1)
    sampler, faces = source(records, fonts, split)
    sampler.rng = np.random.default_rng((seed, number))
    page = sampler.page()
    return [_crop(sampler, page, faces) for _ in range(CROPS_PER_PAGE)]


@lru_cache(maxsize=2)
def source(records: Path, fonts: Path, split: str) -> tuple[PageSampler, list[Face]]:
    train, valid = split_faces(find_faces(fonts))
    sampler = PageSampler(records, split, 0, sizes=(CROP_PX, CROP_PX))
    return sampler, train if split == "train" else valid


def _crop(sampler: PageSampler, page: TrainingPage, faces: list[Face]) -> Crop:
    rng = sampler.rng
    patch = sampler.crop(page, _place(page, rng))
    known = [seen_name(patch.text, name, box) for name, box in patch.labels]
    image = patch.image.copy()
    _lay_words(image, known, faces, rng)
    if rng.random() < TURNED:
        k = int(rng.integers(1, 4))
        strokes = [box for label, box in known if k == 2 and -1 < label < 3]
        known = [(OPEN, turned_box(box, image.shape, k)) for box in strokes]
        image = np.ascontiguousarray(np.rot90(image, k))
    seen = in_bytes(image)
    names = np.array([(label, *box) for label, box in known if label != NONE], np.float32)
    names = names.reshape(-1, 5)
    names[:, 1:] /= HALVED
    return seen, names


def _place(page: TrainingPage, rng: np.random.Generator) -> npt.NDArray[np.float64] | None:
    """The middle of a crop in mm: near a name, in the page's heading, or wherever (None)."""
    drawn, choice = page.drawn, rng.random()
    if choice < AT_NAMES and drawn.labels:
        x0, y0, x1, y1 = drawn.labels[int(rng.integers(len(drawn.labels)))].box
        middle = np.array([(x0 + x1) / 2, (y0 + y1) / 2]) / drawn.px_per_mm
        return np.asarray(middle + rng.normal(0, OFF_MM, 2))
    if choice < AT_NAMES + AT_TOP:
        height, width = drawn.trace.shape
        return np.asarray(rng.uniform((0, 0), (width, height / 4)) / drawn.px_per_mm)
    return None


def _lay_words(
    image: Pixels, known: list[tuple[int, Box]], faces: list[Face], rng: np.random.Generator
) -> None:
    """Lay words over a crop where none stand yet, and add them to those known."""
    two_tones = len(np.unique(image[::7, ::7])) < TWO_TONES
    for _ in range(int(rng.poisson(WORDS))):
        label, word = _word(faces, rng)
        high, wide = word.shape
        if max(high, wide) >= CROP_PX - 4 or high < 6:
            continue
        x, y = int(rng.integers(2, CROP_PX - wide - 2)), int(rng.integers(2, CROP_PX - high - 2))
        box = (float(x), float(y), float(x + wide), float(y + high))
        if any(near(box, other) for _, other in known):
            continue
        lay(image[y : y + high, x : x + wide], word, two_tones, rng)
        known.append((label, box))


def _word(faces: list[Face], rng: np.random.Generator) -> tuple[int, Pixels]:
    """A name, or a word that is none (`NONE`), and its ink."""
    face = faces[int(rng.integers(len(faces)))]
    tall = round(float(np.exp(rng.uniform(*np.log(WORD_PX)))))
    if rng.random() < OF_LEADS:
        label = int(rng.integers(len(LEADS) if rng.random() < USUAL_LEADS else NONE))
        word = word_ink(spelling(NAMES[label], rng), face, tall, rng)
        return label, barred(word, rng) if rng.random() < BARRED else word
    words = str(rng.choice(OTHER_WORDS))
    if rng.random() < 0.3:
        words = "".join(rng.choice(np.array(list(LETTERS)), int(rng.integers(1, 6))))
    return NONE, word_ink(words, face, min(tall, 36), rng)


def near(box: Box, other: Box) -> bool:
    across, down = CLEAR_PX
    return (
        box[0] - across < other[2]
        and other[0] < box[2] + across
        and box[1] - down < other[3]
        and other[1] < box[3] + down
    )


def lay(part: Pixels, word: Pixels, two_tones: bool, rng: np.random.Generator) -> None:
    """Print a word on a piece of the page of its size."""
    import cv2

    ink = word.astype(np.float32) / 255
    if two_tones:
        ink = (ink > 0.5).astype(np.float32)
    else:
        soft = cv2.GaussianBlur(np.pad(ink, 4), (0, 0), rng.uniform(0.3, 1.6))
        ink = soft[4:-4, 4:-4] * rng.uniform(0.45, 1)
    if rng.random() < WORN:
        ink = ink * (rng.random(ink.shape) > rng.uniform(0, 0.4))
    colour = np.zeros(3) if two_tones else np.array(INKS[int(rng.integers(len(INKS)))])
    paper = part.astype(np.float32)
    part[:] = paper * (1 - ink[..., None]) + np.minimum(paper, colour) * ink[..., None]


def targets(names: npt.NDArray[np.float32], size: int, none: int = NONE) -> tuple[Pixels, Pixels]:
    """What the network ought to say: a name for each cell, (n, n), and the sides of its box.

    ``names`` are those of a `Crop` of ``size`` px; ``none`` stands for no name. Cells near a name's
    middle are that name, others of its box are `OPEN`; sides (4, n, n) count from the cell's
    middle, in `SIDE_PX`.
    """
    count = size // CELL_PX
    at = (np.arange(count) + 0.5) * CELL_PX
    y, x = np.meshgrid(at, at, indexing="ij")
    named = np.full((count, count), none, np.int64)
    sides = np.zeros((4, count, count), np.float32)
    for _, x0, y0, x1, y1 in names:
        named[(x > x0 - RIM_PX) & (x < x1 + RIM_PX) & (y > y0 - RIM_PX) & (y < y1 + RIM_PX)] = OPEN
    for label, x0, y0, x1, y1 in names:
        if label == OPEN:
            continue
        wide, high = max(CORE * (x1 - x0), CORE_PX), max(CORE * (y1 - y0), CORE_PX)
        core = (np.abs(x - (x0 + x1) / 2) <= wide) & (np.abs(y - (y0 + y1) / 2) <= high)
        named[core] = int(label)
        for k, side in enumerate((x - x0, y - y0, x1 - x, y1 - y)):
            sides[k][core] = side[core] / SIDE_PX
    return named, sides


def loss_of(answer: Tensor, named: Tensor, sides: Tensor, none: int = NONE) -> Tensor:
    """Cross-entropy, of paper only as far as it is mistaken for a name (Lin et al. 2017, focal
    loss), and how far boxes are off; by names."""
    log_odds, found = answer[:, : none + 1], answer[:, none + 1 :]
    likely = log_odds.log_softmax(1)
    names, paper = (named >= 0) & (named < none), named == none
    count = names.sum().clamp(min=1)
    each = -likely.gather(1, named.clamp(min=0)[:, None])[:, 0]
    mistaken = (1 - likely[:, none].exp()).detach() ** 2
    off = (found - sides).abs().sum(1)
    return (each[names].sum() + (mistaken * each)[paper].sum() + 0.5 * off[names].sum()) / count


def main() -> None:
    """Train, calibrate on held-out fonts and write the weights with their card."""
    import torch

    options = options_of(main.__doc__, pages=1000, steps=8000, checkpoint="cache/places.pt")
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    valid = _kept_crops(options, "valid", VALIDATION_PAGES, options.seed + 1)
    crops = _kept_crops(options, "train", options.pages, options.seed)
    net = FINDER_OF_NAMES.build()
    optimiser = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, 3e-3, total_steps=options.steps + 1, pct_start=0.15
    )

    def loss_at(step: int) -> Tensor:
        rng = np.random.default_rng((options.seed, 7, step))
        chosen = [crops[i] for i in rng.integers(len(crops), size=BATCH)]
        seen, named, sides = batch(chosen, rng.uniform(*DEPTHS, (BATCH, 1, 1, 1)))
        with torch.autocast("cpu", torch.bfloat16, enabled=short()):
            answer = net(seen.contiguous(memory_format=torch.channels_last))[:, : SIDES.stop]
        return loss_of(answer.float(), named, sides)

    losses = take_steps(
        net,
        optimiser,
        schedule,
        loss_at,
        steps=options.steps,
        checkpoint=options.checkpoint,
        limit=2.0,
    )
    half = len(valid) // 2
    temperature = _temperature(net, valid[:half])
    card = {
        "temperature": temperature,
        "validation": _figures(net, valid[half:], temperature)
        | {"what": "fonts unseen in training, recordings of the validation split"},
        "what": "finder of lead names (ecg4u.digitize.text.labels)",
        "command": f"python -m training.train_places RECORDS --steps {options.steps}"
        f" --seed {options.seed} --pages {options.pages}",
        "commit": options.commit,
        "seed": options.seed,
        "steps": len(losses),
        "batch": BATCH,
        "last_losses": [round(value, 4) for value in losses[-5:]],
        "data": "pages drawn by training/pages.py from the recordings' training split, words drawn "
        "by training/train_places.py; no page image was used",
        "crops": {"train": len(crops), "valid": len(valid)},
        "font_licences": "DejaVu (Bitstream Vera), Liberation, Noto, Lato, Open Sans, Inconsolata, "
        "Courier Prime, Hack (OFL / Apache-2.0 / MIT), GNU FreeFont (GPL-3 with font exception), "
        "URW base 35 (AGPL-3 with font exception); only pictures of their letters were used",
        "weights": sum(value.numel() for value in net.parameters()),
        "code": "ecg4u 0.2.0",
    }
    FINDER_OF_NAMES.keep(net, card, options.out)
    print(json.dumps(card, indent=1))


def short() -> bool:
    import torch

    return bool(torch.cpu.get_capabilities().get("avx512_bf16"))


def drawn_crops(
    of_page: Callable[..., list[Any]],
    options: argparse.Namespace,
    split: str,
    pages: int,
    seed: int,
) -> list[Any]:
    """The crops ``of_page`` of so many pages, drawn by several processes."""
    draw = partial(of_page, records=options.records, fonts=options.fonts, split=split, seed=seed)
    with ProcessPoolExecutor(options.workers) as workers:
        return [crop for page in workers.map(draw, range(pages), chunksize=4) for crop in page]


def _kept_crops(options: argparse.Namespace, split: str, pages: int, seed: int) -> list[Crop]:
    """`page_crops`, kept beside the checkpoint for the next start."""
    kept = options.checkpoint.with_name(f"places_{split}_{pages}_{seed}.npz")
    if not kept.exists():
        crops = drawn_crops(page_crops, options, split, pages, seed)
        seen, names = (list(part) for part in zip(*crops, strict=True))
        kept.parent.mkdir(parents=True, exist_ok=True)
        counts = [len(one) for one in names]
        np.savez(kept, seen=np.stack(seen), num=counts, names=np.concatenate(names))
    with np.load(kept) as data:
        names = np.split(data["names"], np.cumsum(data["num"])[:-1])
        return list(zip(data["seen"], names, strict=True))


def in_bytes(image: Pixels) -> Pixels:
    """What the network sees of an image, as crops keep it: (3, S, S) uint8."""
    return np.clip((seen_by_network(image) + LOWEST) / RANGE * 255, 0, 255).astype(np.uint8)


def batch(
    crops: Sequence[Crop], depths: Pixels | float = 1.0, none: int = NONE
) -> tuple[Tensor, Tensor, Tensor]:
    """Crops as the network takes them, their ink deepened or paled, and what it ought to say;
    ``none`` stands for no word."""
    import torch

    seen = np.stack([seen for seen, _ in crops]).astype(np.float32) / 255 * RANGE - LOWEST
    wanted = [targets(words, seen.shape[2], none) for _, words in crops]
    named, sides = (np.stack(part) for part in zip(*wanted, strict=True))
    seen = (seen * depths).astype(np.float32)
    return torch.from_numpy(seen), torch.from_numpy(named), torch.from_numpy(sides)


def _answers(net: nn.Module, crops: list[Crop]) -> tuple[Tensor, Tensor]:
    """Log odds of every cell, (n, 21, h, w), and what it is, (n, h, w)."""
    import torch

    net.eval()
    odds, wanted = [], []
    with torch.inference_mode():
        for first in range(0, len(crops), BATCH):
            seen, named, _ = batch(crops[first : first + BATCH])
            odds.append(net(seen)[:, : NONE + 1])
            wanted.append(named)
    return torch.cat(odds), torch.cat(wanted)


def _temperature(net: nn.Module, crops: list[Crop]) -> float:
    """By the likelihood of cells that are a name, or are taken for one."""
    import torch

    odds, named = _answers(net, crops)
    doubtful = (odds.softmax(1)[:, NONE] < 1 - TAKEN) | (named < NONE)
    cells, truth = odds.permute(0, 2, 3, 1)[doubtful & (named >= 0)], named[doubtful & (named >= 0)]
    losses = {
        t: float(torch.nn.functional.cross_entropy(cells / t, truth))
        for t in (0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.4, 1.7, 2.0)
    }
    return min(losses, key=lambda t: losses[t])


def _figures(net: nn.Module, crops: list[Crop], temperature: float) -> dict[str, object]:
    """How many names are read, by what is said at their middles, and what else is taken for one."""
    odds, named = _answers(net, crops)
    likely = (odds / temperature).softmax(1)
    best, sure = likely[:, :NONE].argmax(1), likely[:, :NONE].max(1)[0]
    seen: list[tuple[int, int, float]] = []
    for number, (_, names) in enumerate(crops):
        for label, x0, y0, x1, y1 in names:
            if label != OPEN:
                row, column = int((y0 + y1) / 2 / CELL_PX), int((x0 + x1) / 2 / CELL_PX)
                place = number, row, column
                seen.append((int(label), int(best[place]), float(sure[place])))
    right = [a == b and p >= PARAMS.least for a, b, p in seen]
    of_name = [[r for one, r in zip(seen, right, strict=True) if one[0] == i] for i in range(NONE)]
    wrong = [a != b and p >= PARAMS.sure for a, b, p in seen]
    surely = ((sure >= PARAMS.sure) & (named == NONE)).flatten(1).any(1)
    return {
        "names": len(seen),
        "names_read": round(float(np.mean(right)), 4),
        "surely_wrong": round(float(np.mean(wrong)), 4),
        "crops": len(crops),
        "crops_with_a_sure_name_where_none_is": round(float(surely.float().mean()), 4),
        "read_by_name": {
            name: round(float(np.mean(each)), 3)
            for name, each in zip(NAMES, of_name, strict=True)
            if each
        },
    }


def options_of(
    description: str | None, *, pages: int, steps: int, checkpoint: str
) -> argparse.Namespace:
    """Those of a training on drawn pages, with these defaults."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("records", type=Path)
    parser.add_argument("--fonts", type=Path, default=Path("/usr/share/fonts"))
    parser.add_argument("--pages", type=int, default=pages)
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--commit", default="", help="hash of the code that trains, for the card")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2, help="processes that draw pages")
    parser.add_argument("--checkpoint", type=Path, default=Path(checkpoint))
    parser.add_argument("--out", type=Path, help="folder; default: where this repository has them")
    return parser.parse_args()


if __name__ == "__main__":
    main()
