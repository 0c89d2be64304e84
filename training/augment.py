"""What a page does to a recording, as masks, and what a recorder does to a signal, as noise.

All in torch on whole batches: ``leads`` (n, 12, t) mV and ``masks`` (n, 12, t) at 100 Hz.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ecg4u.model.prepare import CLIP_MV, MODEL_FS_HZ
from ecg4u.record import LEADS

STANDARD_COLUMNS = (
    ("I", "II", "III"),
    ("aVR", "aVL", "aVF"),
    ("V1", "V2", "V3"),
    ("V4", "V5", "V6"),
)
CABRERA_COLUMNS = (
    ("aVL", "I", "aVR"),
    ("II", "aVF", "III"),
    ("V1", "V2", "V3"),
    ("V4", "V5", "V6"),
)
TWO_COLUMNS = (LEADS[:6], LEADS[6:])
RHYTHM_STRIPS = (("II",), ("II",), ("II",), ("V1",), (), ("II", "V1"), ("II", "V1", "V5"))


@dataclass(frozen=True)
class Augmentation:
    """How often and how much; probabilities unless a unit is in the name."""

    three_by_four: float = 0.45
    six_by_two: float = 0.10
    crop: float = 0.10
    drop_leads: float = 0.20
    few_leads: float = 0.03
    shuffle_columns: float = 0.25
    edge_jitter_s: float = 0.15
    amplitude: float = 0.10
    lead_amplitude: float = 0.03
    tempo: float = 0.03
    noise_mv: float = 0.03
    wander_mv: float = 0.15
    smooth: float = 0.3
    mixup: float = 0.3


FULL = Augmentation(
    three_by_four=0, six_by_two=0, crop=0, drop_leads=0, few_leads=0, amplitude=0,
    lead_amplitude=0, tempo=0, noise_mv=0, wander_mv=0, smooth=0, mixup=0,
)  # fmt: skip


def column_mask(
    columns: tuple[tuple[str, ...], ...], rhythm: tuple[str, ...], samples: int
) -> npt.NDArray[np.float32]:
    """(12, samples): 1 where a page of these columns and rhythm strips shows the lead."""
    mask = np.zeros((len(LEADS), samples), dtype=np.float32)
    edges = np.rint(np.linspace(0, samples, len(columns) + 1)).astype(int)
    for column, start, end in zip(columns, edges[:-1], edges[1:], strict=True):
        for lead in column:
            mask[LEADS.index(lead), start:end] = 1
    for lead in rhythm:
        mask[LEADS.index(lead)] = 1
    return mask


def page_mask(
    rng: np.random.Generator, samples: int, options: Augmentation
) -> npt.NDArray[np.float32]:
    """(12, samples): which part of which lead a random page shows."""
    draw = rng.random()
    mask = np.ones((len(LEADS), samples), dtype=np.float32)
    if draw < options.three_by_four:
        columns = STANDARD_COLUMNS if rng.random() < 0.85 else CABRERA_COLUMNS
        mask = _random_columns(rng, columns, samples, options)
    elif draw < options.three_by_four + options.six_by_two:
        mask = _random_columns(rng, TWO_COLUMNS, samples, options)
    elif draw < options.three_by_four + options.six_by_two + options.crop:
        length = int(rng.uniform(2.5 * MODEL_FS_HZ, samples))
        start = int(rng.integers(0, samples - length + 1))
        mask[:, :start] = 0
        mask[:, start + length :] = 0
    if rng.random() < options.drop_leads:
        mask[rng.permutation(12)[: rng.integers(1, 5)]] = 0
    if rng.random() < options.few_leads:
        mask[rng.permutation(12)[rng.integers(1, 4) :]] = 0
    return mask


def _random_columns(
    rng: np.random.Generator,
    columns: tuple[tuple[str, ...], ...],
    samples: int,
    options: Augmentation,
) -> npt.NDArray[np.float32]:
    if rng.random() < options.shuffle_columns:
        columns = tuple(columns[i] for i in rng.permutation(len(columns)))
    rhythm = RHYTHM_STRIPS[rng.integers(len(RHYTHM_STRIPS))]
    if rng.random() < 0.1:
        rhythm = (LEADS[rng.integers(12)],)
    mask = column_mask(columns, rhythm, samples)
    shift = round(rng.uniform(-options.edge_jitter_s, options.edge_jitter_s) * MODEL_FS_HZ)
    shifted = np.roll(mask, shift, axis=1)
    if shift > 0:
        shifted[:, :shift] = mask[:, :1]
    elif shift < 0:
        shifted[:, shift:] = mask[:, -1:]
    return shifted


LOOSE_SIZE = 0.2
"""Standard deviation, in log size, of leads whose amplitudes are only estimated."""


def loosened(leads: Tensor, sized: npt.NDArray[np.bool_], rng: np.random.Generator) -> Tensor:
    """(n, 12, t) with the limb leads, and each chest lead, of a recording not ``sized`` resized."""
    factors = rng.standard_normal((len(leads), 7))
    log_size = np.repeat(factors, [6, 1, 1, 1, 1, 1, 1], axis=1) * ~sized[:, None]
    return leads * torch.from_numpy(np.exp(LOOSE_SIZE * log_size))[..., None].to(leads)


def augment(
    leads: Tensor, masks: Tensor, rng: np.random.Generator, options: Augmentation
) -> Tensor:
    """(n, 12, t) mV and masks -> (n, 24, t), noised, cut as a page cuts, and centred again."""
    n, _, samples = leads.shape
    device = leads.device

    def normal(*shape: int) -> Tensor:
        return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32)).to(device)

    if options.tempo:
        leads, masks = _stretch(leads, masks, 1 + rng.uniform(-options.tempo, options.tempo))
    scale = torch.exp(options.amplitude * normal(n, 1, 1))
    leads = leads * scale * (1 + options.lead_amplitude * normal(n, 12, 1))
    if options.smooth and rng.random() < options.smooth:
        leads = _smoothed(leads, rng.uniform(0.4, 1.2))
    if options.noise_mv:
        level = torch.from_numpy(rng.uniform(0, options.noise_mv, (n, 1, 1)).astype(np.float32))
        leads = leads + level.to(device) * normal(n, 12, samples)
    if options.wander_mv:
        leads = leads + options.wander_mv * _wander(rng, n, samples).to(device)
    pages = np.stack([page_mask(rng, samples, options) for _ in range(n)])
    masks = masks * torch.from_numpy(pages).to(device)
    return centred(leads, masks)


def centred(leads: Tensor, masks: Tensor) -> Tensor:
    """(n, 12, t) twice -> (n, 24, t): each lead's visible median its zero, as in `prepare`."""
    seen = torch.where(masks > 0, leads, torch.nan)[..., ::2]
    median = torch.nan_to_num(seen.nanmedian(dim=2, keepdim=True).values)
    values = (leads - median).clamp(-CLIP_MV, CLIP_MV) * masks
    return torch.cat([values, masks], dim=1)


def mixed(
    x: Tensor, y: Tensor, rng: np.random.Generator, alpha: float = 0.3
) -> tuple[Tensor, Tensor]:
    """Mixup (Zhang et al. 2018) of a batch with itself, after the masks; NaN labels stay NaN."""
    share = float(rng.beta(alpha, alpha))
    order = torch.from_numpy(rng.permutation(len(x))).to(x.device)
    masks = torch.maximum(x[:, 12:], x[order, 12:])
    leads = share * x[:, :12] + (1 - share) * x[order, :12]
    return torch.cat([leads, masks], dim=1), share * y + (1 - share) * y[order]


def _stretch(leads: Tensor, masks: Tensor, factor: float) -> tuple[Tensor, Tensor]:
    """Slower (factor > 1) or faster; the length stays, with mask 0 where nothing is left."""
    samples = leads.shape[2]
    length = round(samples * factor)
    leads = torch.nn.functional.interpolate(leads, length, mode="linear", align_corners=True)
    masks = torch.nn.functional.interpolate(masks, length, mode="nearest")
    if length >= samples:
        start = (length - samples) // 2
        return leads[..., start : start + samples], masks[..., start : start + samples]
    pad = (0, samples - length)
    return torch.nn.functional.pad(leads, pad), torch.nn.functional.pad(masks, pad)


def _smoothed(leads: Tensor, sigma_samples: float) -> Tensor:
    t = torch.arange(-3, 4, dtype=leads.dtype, device=leads.device)
    kernel = torch.exp(-0.5 * (t / sigma_samples) ** 2)
    kernel = (kernel / kernel.sum()).view(1, 1, -1)
    flat = leads.reshape(-1, 1, leads.shape[2])
    return torch.nn.functional.conv1d(flat, kernel, padding=3).reshape(leads.shape)


def _wander(rng: np.random.Generator, n: int, samples: int) -> Tensor:
    """(n, 12, samples): two slow sines a lead, their size different in each recording."""
    t = np.arange(samples, dtype=np.float32) / MODEL_FS_HZ
    total = np.zeros((n, 12, samples), dtype=np.float32)
    for _ in range(2):
        frequency = rng.uniform(0.05, 0.5, (n, 1, 1)).astype(np.float32)
        phase = rng.uniform(0, 2 * np.pi, (n, 12, 1)).astype(np.float32)
        size = rng.uniform(0, 0.5, (n, 12, 1)).astype(np.float32) * rng.random((n, 1, 1)) ** 2
        total += (size * np.sin(2 * np.pi * frequency * t + phase)).astype(np.float32)
    return torch.from_numpy(total)
