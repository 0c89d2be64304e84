"""The beats of the network's input laid over one another, and their rhythm.

A median beat shows PR, QRS and ST at fixed places, with the noise averaged away; a row of RR
intervals and of beats' likeness to the median beat shows which come early and which are odd.
Everything is computed from (n, 24, t), so that masks and Shapley values work as for a network.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

MIN_SHOWN, MAX_BEATS = 4, 32
BEFORE, AFTER = 40, 56
"""Samples (100 Hz) of a beat before and from its R peak on."""
REFRACTORY, SMOOTHING, PEAK_LEVEL = 20, 7, 0.35
"""Samples to either side in which a peak is the highest, and over which slopes are averaged; least
height of a peak. The trees were trained on beats found so."""
P_WINDOW, QRS_WINDOW, T_WINDOW = slice(12, 33), slice(32, 50), slice(52, 86)
"""Samples of the cut beat in which each wave lies at usual intervals."""
EPSILON = 1e-4
"""Keeps energies of 0 from dividing."""


def find_beats(leads: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """(n, 12, t) mV and masks -> (n, k) R samples in order of time, and which are real.

    ``k`` is the most beats of any row, between `MIN_SHOWN` and `MAX_BEATS`.

    Each lead's squared slope over its own mean, averaged over the leads known at that time and
    smoothed over 70 ms; its local maxima above `PEAK_LEVEL` of its 98th percentile (square roots).
    """
    both = masks[..., 1:] * masks[..., :-1]
    energy = leads.diff(dim=2).square() * both
    own = energy.sum(2, keepdim=True) / both.sum(2, keepdim=True).clamp(min=1)
    energy = (energy / own.clamp(min=1e-8)).sum(1) / both.sum(1).clamp(min=1)
    pooled = nn.functional.avg_pool1d(
        energy[:, None], SMOOTHING, 1, SMOOTHING // 2, count_include_pad=False
    )
    slope = pooled[:, 0].sqrt()
    level = PEAK_LEVEL * torch.quantile(slope, 0.98, dim=1, keepdim=True)
    highest = nn.functional.max_pool1d(slope[:, None], 2 * REFRACTORY + 1, 1, REFRACTORY)[:, 0]
    rising = nn.functional.pad(slope.diff(dim=1) > 0, (1, 0), value=True)
    peak = (slope == highest) & rising & (slope > level) & (slope > 0)
    samples = torch.arange(slope.shape[1], device=leads.device)
    late = slope.shape[1]
    order = torch.where(peak, samples, late)
    most = int(peak.sum(1).amax().clamp(MIN_SHOWN, MAX_BEATS))
    first = torch.topk(order, most, dim=1, largest=False, sorted=True).values
    return first.clamp(max=late - 1), first < late


def cut_beats(x: Tensor, at: Tensor) -> Tensor:
    """(n, c, t) around (n, k) samples -> (n, k, c, BEFORE + AFTER), zero beyond the ends."""
    padded = nn.functional.pad(x, (BEFORE, AFTER)).transpose(1, 2)
    offsets = torch.arange(BEFORE + AFTER, device=x.device)
    rows = torch.arange(len(x), device=x.device)[:, None, None]
    return padded[rows, at[..., None] + offsets].transpose(2, 3)


def median_beat(beats: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """(n, k, 12, t) beats and what is known of them -> (n, 12, t) median and mean deviation."""
    middle = torch.where(known > 0, beats, torch.nan).nanmedian(dim=1).values
    middle = torch.nan_to_num(middle)
    count = known.sum(1)
    offset = ((beats - middle[:, None]) * known).sum(3, keepdim=True)
    offset = offset / known.sum(3, keepdim=True).clamp(min=1)
    spread = ((beats - middle[:, None] - offset).abs() * known).sum(1) / count.clamp(min=1)
    return middle, spread


def compared(beats: Tensor, middle: Tensor, known: Tensor, window: slice) -> tuple[Tensor, Tensor]:
    """(n, k): correlation with the median beat in a window, and the log ratio of their energy."""
    known = known[..., window]
    count = known.sum(3, keepdim=True).clamp(min=1)
    one = beats[..., window] * known
    other = middle[:, None, :, window] * known
    one = (one - one.sum(3, keepdim=True) / count) * known
    other = (other - other.sum(3, keepdim=True) / count) * known
    energy, usual = one.square().sum((2, 3)), other.square().sum((2, 3))
    likeness = (one * other).sum((2, 3)) / (energy * usual + EPSILON**2).sqrt()
    return likeness, ((energy + EPSILON) / (usual + EPSILON)).log().clamp(-3, 3)


def likeness(found: Beats) -> Tensor:
    """(n,): upper quartile, over the beats, of their QRS's likeness to the median's.

    NaN where no beat is found. Near 1 for an ECG of any rhythm, unless nearly every beat differs.
    """
    alike, _ = compared(found.beats, found.middle, found.known, QRS_WINDOW)
    return torch.where(found.real, alike, torch.nan).nanquantile(0.75, dim=1)


def rhythm(at: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """R samples -> (n, k, 5) of each beat's intervals, (n, 6) of all of them.

    A beat's: the interval before and after over the median less 1, the interval before in s, and
    whether each is there.
    """
    interval = at.diff(dim=1).float() / 100
    there = (real[:, 1:] & real[:, :-1]).float()
    usual = torch.where(there > 0, interval, torch.nan).nanmedian(dim=1, keepdim=True).values
    usual = torch.nan_to_num(usual, nan=0.8)
    relative = ((interval / usual - 1) * there).clamp(-1, 1.5)
    before, after = (
        nn.functional.pad(relative, (1, 0)),
        nn.functional.pad(relative, (0, 1)),
    )
    seconds = nn.functional.pad(interval * there, (1, 0)).clamp(max=3)
    has_before = nn.functional.pad(there, (1, 0))
    has_after = nn.functional.pad(there, (0, 1))
    count = there.sum(1).clamp(min=1)
    change = relative.diff(dim=1) * there[:, 1:] * there[:, :-1]
    pairs = (there[:, 1:] * there[:, :-1]).sum(1).clamp(min=1)
    whole = torch.stack(
        [
            usual[:, 0],
            (relative.square().sum(1) / count + EPSILON).sqrt(),
            (change.square().sum(1) / pairs + EPSILON).sqrt(),
            change.abs().sum(1) / pairs,
            relative.amin(1),
            relative.amax(1),
        ],
        dim=1,
    )
    return torch.stack([before, after, seconds, has_before, has_after], dim=2), whole


@dataclass(frozen=True, eq=False)
class Beats:
    """What `lay_over` finds in (n, 24, t): ``k`` beats of each row, on their R peaks.

    ``real`` (n, k) says which are there; ``beats`` and ``known`` are (n, k, 12, BEFORE + AFTER),
    ``middle`` and ``spread`` (n, 12, BEFORE + AFTER); ``intervals`` and ``whole`` as `rhythm` gives
    them.
    """

    real: Tensor
    beats: Tensor
    known: Tensor
    middle: Tensor
    spread: Tensor
    intervals: Tensor
    whole: Tensor


def lay_over(x: Tensor) -> Beats:
    """(n, 24, t) millivolts and masks -> the beats.

    A beat whose QRS is cut off by an end of the record is left out: it would look like no other.
    """
    leads, masks = x.float().chunk(2, dim=1)
    leads = leads * masks
    at, real = find_beats(leads.detach(), masks)
    known = cut_beats(masks, at)
    real = real & (known[..., QRS_WINDOW].amax(dim=2) > 0).all(dim=2)
    known = known * real[:, :, None, None]
    beats = cut_beats(leads, at) * known
    middle, spread = median_beat(beats, known)
    return Beats(real, beats, known, middle, spread, *rhythm(at, real))
