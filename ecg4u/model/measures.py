"""What a reader would measure, from the network's own input: rhythm, intervals, each lead's waves.

Plain numbers of the median beat and of the row of beats that `ecg4u.model.beats` finds, computed
for whole batches and under any mask, so that trees over them answer as the networks do. They are
coarser (100 Hz) than the measured features of the explanation, which rest on the record itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ecg4u.model.beats import (
    BEFORE,
    P_WINDOW,
    QRS_WINDOW,
    T_WINDOW,
    Beats,
    compared,
    lay_over,
)
from ecg4u.record import LEADS

LEVELS = (0.06, 0.12, 0.25)
"""Shares of the QRS' highest slope at which it begins and ends."""
EARLY, LIKE, UNLIKE = -0.12, 0.9, 0.75
"""Of a beat: its interval over the median less 1, and two limits to its QRS's likeness."""
CONTIGUOUS = (
    ("V1", "V2"),
    ("V2", "V3"),
    ("V3", "V4"),
    ("V4", "V5"),
    ("V5", "V6"),
    ("V6", "I"),
    ("I", "aVL"),
    ("II", "aVF"),
    ("aVF", "III"),
)
PAIRS = tuple([LEADS.index(pair[side]) for pair in CONTIGUOUS] for side in (0, 1))
OF_A_BEAT = ("before", "after", "P like", "P size", "QRS like", "QRS size", "T like")
OF_A_LEAD = (
    *("R", "S", "Q", "R'", "area", "end of QRS", "R time"),
    *("J", "ST 40", "ST 60", "ST 80", "ST slope", "T high", "T low", "T area", "P"),
)
OF_AN_EARLY_BEAT = ("early", "pause", "P like", "P size", "QRS like", "T like before")
HUMP_LEVELS = (0.2, 0.4, 0.6)
GROUPS: Mapping[str, tuple[str, ...]] = {
    "lateral": ("I", "aVL", "V5", "V6"),
    "inferior": ("II", "III", "aVF"),
    "anterior": ("V2", "V3", "V4"),
    "left": ("V4", "V5", "V6"),
}
ALIKE, NEIGHBOURS = 0.85, 3
"""QRS likeness of beats of one kind; how many intervals each side of a beat tell its usual one."""
NAMES = (
    *("RR", "RR spread", "RR change, rms", "RR change, mean", "shortest", "longest", "beats"),
    *("RR change, median", "RR changes", "before, tenth", "before, ninetieth"),
    *(f"{wave} like, {part}" for wave in ("P", "QRS", "T") for part in ("least", "low", "median")),
    *("early alike", "early unlike", "early with pause", "unlike"),
    *(f"{which}: {what}" for which in ("earliest", "next earliest", "least like", "next least")
      for what in OF_A_BEAT),
    *(f"QRS at {level:g}" for level in LEVELS),
    *("PR from half P", "PR from P peak", "PR from P slope", "P width", "P height"),
    *("P over noise", "QRS slope", "noise before", "noise after"),
    *(f"{lead} {what}" for lead in LEADS for what in OF_A_LEAD),
    *("ST up, pairs", "ST down, pairs", "ST down, leads", "ST up, leads", "ST mean"),
    *("axis", "V1 S and V5 R"),
    *(f"{which} of its kind: {what}" for which in ("earliest", "second", "third")
      for what in OF_AN_EARLY_BEAT),
    *("early by a little", "early by more", "early with a pause", "early with another P"),
    *("steady beats", "unsteadiness", "least RR over its deviation"),
    *(f"P hump at {share:g} to QRS" for share in HUMP_LEVELS),
    *("P hump peak to QRS", "P hump to QRS, free", "P hump width", "P hump height"),
    *("P hump over TP", "P of II to QRS", "P of V1 to QRS", "P of II", "P of V1"),
    *("T peak", "T end", "T end corrected", "T end to P hump", "PR over RR"),
    *(f"{group} ST {lag}" for group in GROUPS for lag in (60, 80)),
    *(f"{which} ST 80" for which in ("lowest", "second lowest", "third lowest")),
    *(f"{which} ST 80" for which in ("highest", "second highest")),
    *("ST flat and down, leads", "ST flat and down by 0.1, leads", "ST 80 down, pairs"),
    *("ST 80 down, sum", "T inverted, sum", "ST 80 over TP", "Cornell", "QRS size"),
    *(f"{lead} ST 80 over R" for lead in ("I", "II", "V4", "V5", "V6")),
    *(f"{lead} late area" for lead in ("V1", "V2", "I", "V6")),
    *(f"{lead} turns" for lead in ("V1", "V2", "I", "aVL", "V5", "V6")),
)  # fmt: skip
"""The measures in their order: mV, samples of 10 ms, shares and counts."""
COUNT = len(NAMES)


class OfMeasures(nn.Module):
    """A member of the ensemble that sees nothing but `measures`: they are taken once for all."""

    def forward(self, x: Tensor) -> Tensor:
        """(n, 24, t) millivolts and masks at 100 Hz -> (n, outputs) logits."""
        return self.from_measures(measures(x))

    def from_measures(self, values: Tensor) -> Tensor:
        """(n, `COUNT`) -> (n, outputs) logits."""
        raise NotImplementedError


def measures(x: Tensor) -> Tensor:
    """(n, 24, t) millivolts and masks at 100 Hz -> (n, `COUNT`), as `measures_of` has them."""
    return measures_of(lay_over(x))


def measures_of(found: Beats) -> Tensor:
    """The beats of n rows -> (n, `COUNT`); NaN where there is no such value.

    The order: of the row of beats, of the whole median beat, of each lead in turn, of pairs of
    leads, of beats that are early, of P and T, of the ST segment, of the QRS. Of beats that are
    equally early the first in time comes first, so that a row does not hang on its batch.
    """
    shown = found.known.sum(1).amax(2) > 0
    interval = found.whole[:, 0]
    row, early = _of_the_row(found)
    parts = [row, *_of_the_beat(found.middle, found.spread, shown, interval)]
    return torch.cat([*parts[:-1], early, parts[-1]], dim=1)


def _of_the_row(found: Beats) -> tuple[Tensor, Tensor]:
    """Intervals, and the likeness to the median beat of all beats and of the odd ones out."""
    real = found.real
    (p, p_size), (qrs, size), (t, _) = (
        compared(found.beats, found.middle, found.known, window)
        for window in (P_WINDOW, QRS_WINDOW, T_WINDOW)
    )
    before, after, _, has_before, has_after = found.intervals.unbind(2)
    usable = real & (has_before > 0)
    before = torch.where(usable, before, torch.nan)
    after = torch.where(real & (has_after > 0), after, torch.nan)
    change = before.diff(dim=1).abs()
    told = [*found.whole.unbind(1), real.sum(1).float()]
    told += [change.nanmedian(1).values, (change > 0.1).float().sum(1)]
    told += _quantiles(before, 0.1, 0.9)
    there = torch.where(real[:, None], torch.stack([p, qrs, t], dim=1), torch.nan)
    told += torch.stack(_quantiles(there, 0.0, 0.25, 0.5), dim=2).flatten(1).unbind(1)
    early = usable & (before < EARLY)
    late = torch.nan_to_num(after) > -EARLY
    for chosen in (early & (qrs > LIKE), early & (qrs < UNLIKE), early & late, qrs < UNLIKE):
        told.append((chosen & real).float().sum(1))
    row = torch.stack([before, after, p, p_size, qrs, size, t], dim=2)
    for order in (torch.nan_to_num(before, nan=9.0), torch.where(real, qrs, 9.0)):
        first = order.argsort(dim=1, stable=True)[:, :2]
        odd = row.gather(1, first[..., None].expand(-1, -1, row.shape[2]))
        there = real.gather(1, first)
        told += torch.where(there[..., None], odd, torch.nan).flatten(1).unbind(1)
    return torch.stack(told, dim=1), _of_early_beats(before + 1, real, p, p_size, qrs, t)


def _quantiles(values: Tensor, *shares: float) -> list[Tensor]:
    """Of the last dimension, without NaN."""
    return list(torch.nanquantile(values, values.new_tensor(shares), dim=-1))


def _of_early_beats(
    interval: Tensor, real: Tensor, p: Tensor, p_size: Tensor, qrs: Tensor, t: Tensor
) -> Tensor:
    """Beats of the usual shape that come early for the intervals around them.

    ``interval`` (n, k) before each beat over the median, NaN where there is none; the others are
    each beat's likeness and size.
    """
    around = nn.functional.pad(interval, (NEIGHBOURS, NEIGHBOURS + 1), value=torch.nan)
    around = around.unfold(1, 2 * NEIGHBOURS + 2, 1)
    others = torch.cat([around[..., :NEIGHBOURS], around[..., NEIGHBOURS + 2 :]], dim=2)
    usual = others.nanmedian(dim=2).values
    early = interval / usual - 1
    pause = around[..., NEIGHBOURS + 1] / usual - 1
    previous = nn.functional.pad(t, (1, 0))[:, :-1]
    kind = real & (qrs > ALIKE) & early.isfinite()
    row = torch.stack([early, pause, p, p_size, qrs, previous], dim=2)
    first = torch.where(kind, early, 9.0).argsort(dim=1, stable=True)[:, :3]
    chosen = row.gather(1, first[..., None].expand(-1, -1, row.shape[2]))
    chosen = torch.where(kind.gather(1, first)[..., None], chosen, torch.nan)
    late = torch.nan_to_num(pause) > 0.05
    counts = [early < -0.08, early < -0.15, (early < -0.12) & late, (early < -0.1) & (p < 0.6)]
    told = [(kind & one).float().sum(1) for one in counts]
    told += [(early.abs() < 0.04).float().sum(1) / real.sum(1).clamp(min=1)]
    told += [early.abs().nanmedian(dim=1).values]
    middle = interval.nanmedian(dim=1, keepdim=True).values
    deviation = (interval - middle).abs().nanmedian(dim=1).values
    least = torch.nan_to_num(interval - middle, nan=0.0).amin(1)
    told += [least / (deviation + 0.01)]
    return torch.cat([chosen.flatten(1), torch.stack(told, dim=1)], dim=1)


def _of_the_beat(
    middle: Tensor, spread: Tensor, shown: Tensor, interval: Tensor
) -> tuple[Tensor, ...]:
    """(n, 12, t) median beat -> numbers of the whole, leads, pairs of leads, and P, T, ST."""
    length = middle.shape[2]
    t = torch.arange(length, device=middle.device)
    weight = shown.float()[..., None]
    count = weight.sum(1).clamp(min=1)
    slope = nn.functional.pad(middle[..., 2:] - middle[..., :-2], (1, 1))
    steep = ((slope.square() * weight).sum(1) / count).sqrt()
    steep = nn.functional.max_pool1d(steep[:, None], 3, 1, 1)[:, 0]
    peak = QRS_WINDOW.start + steep[:, QRS_WINDOW].argmax(1)
    height = steep.gather(1, peak[:, None])
    starts, ends = _edges(steep, peak, height * torch.tensor(LEVELS, device=t.device))
    begin = starts[:, 1]
    onset, offset = (edge[:, 1].round().long().clamp(4, length - 40) for edge in (starts, ends))
    base = _mean_between(middle, t, onset - 4, onset - 2)
    level = middle - base[..., None]
    loud = ((level.square() * weight).sum(1) / count).sqrt()
    start = (BEFORE - (100 * interval).round().long() + 40).clamp(min=0)
    start = torch.minimum(start, onset - 14).clamp(min=0)
    before = (t >= start[:, None]) & (t <= onset[:, None] - 4)
    p_peak = torch.where(before, loud, -1.0).argmax(1)
    p_height = loud.gather(1, p_peak[:, None])
    p_onset, p_offset = (edge[:, 0] for edge in _edges(loud, p_peak, 0.35 * p_height))
    p_steep = torch.where(before, steep, -1.0).argmax(1)
    noise = ((spread.square() * weight).sum(1) / count).sqrt()
    p_noise = noise.gather(1, p_peak[:, None])
    of_all = [*(ends - starts).unbind(1), begin - p_onset, begin - p_peak, begin - p_steep]
    of_all += [p_offset - p_onset, p_height[:, 0], (p_height / (p_noise + 0.01))[:, 0]]
    of_all += [height[:, 0], noise[:, P_WINDOW].mean(1), noise[:, T_WINDOW].mean(1)]
    of_leads = _of_leads(level, t, onset, offset, p_peak)
    of_leads = torch.where(shown[..., None], of_leads, torch.nan)
    edge = onset, offset
    more = [*_of_p_and_t(level, weight, t, *edge, interval), *_of_st(of_leads, level)]
    more += _of_qrs(torch.where(shown[..., None], level, torch.nan), t, *edge)
    return (
        torch.stack(of_all, dim=1),
        of_leads.flatten(1),
        _of_pairs(of_leads),
        torch.stack(more, dim=1),
    )


def _of_p_and_t(
    level: Tensor, weight: Tensor, t: Tensor, onset: Tensor, offset: Tensor, interval: Tensor
) -> list[Tensor]:
    """P as a hump over the line from the end of T to the QRS, and when T ends."""
    count = weight.sum(1).clamp(min=1)
    end_of_t = (100 * (0.38 * interval.sqrt() - 0.03)).round().long()
    start = (BEFORE - (100 * interval).round().long() + end_of_t).clamp(min=0)
    start = torch.minimum(start, onset - 14).clamp(min=0)
    end = onset - 2
    at_start = _mean_between(level, t, start, start + 2)
    share = ((end[:, None] - t) / (end - start).clamp(min=1)[:, None]).clamp(0, 1)
    inside = ((t >= start[:, None]) & (t <= end[:, None]))[:, None]
    hump = torch.where(inside, level - at_start[..., None] * share[:, None], 0.0)
    loud = ((hump.square() * weight).sum(1) / count).sqrt()
    height, peak = loud.max(1)
    starts, ends = _edges(loud, peak, height[:, None] * torch.tensor(HUMP_LEVELS, device=t.device))
    told = [*(onset[:, None] - starts).unbind(1)]
    told += [onset - peak, onset - ends[:, 1], ends[:, 1] - starts[:, 1], height]
    told += [height / (((at_start.square() * weight[..., 0]).sum(1) / count[:, 0]).sqrt() + 0.02)]
    signed = []
    for lead in ("II", "V1"):
        one = hump[:, LEADS.index(lead)]
        at = one.abs().argmax(1)
        seen = weight[:, LEADS.index(lead), 0] > 0
        told.append(torch.where(seen, (onset - at).float(), torch.nan))
        signed.append(torch.where(seen, one.gather(1, at[:, None])[:, 0], torch.nan))
    wave = (t >= (offset + 8)[:, None]) & (t <= (offset + 36)[:, None])
    ending = ((level.square() * weight).sum(1) / count).sqrt()
    t_peak = torch.where(wave, ending, -1.0).argmax(1)
    t_end = _edges(ending, t_peak, 0.3 * ending.gather(1, t_peak[:, None]))[1][:, 0]
    told += [*signed, t_peak - onset, t_end - onset, (t_end - onset) / interval.sqrt()]
    told += [100 * interval + starts[:, 1] - t_end, (onset - starts[:, 1]) / (100 * interval)]
    return [part.float() for part in told]


def _of_st(of_leads: Tensor, level: Tensor) -> list[Tensor]:
    """ST by groups of leads, its lowest and highest, flat or falling, against R and T."""
    part = {name: of_leads[..., index] for index, name in enumerate(OF_A_LEAD)}
    late, j, r = part["ST 80"], part["J"], part["R"]
    told: list[Tensor] = []
    for group in GROUPS.values():
        columns = [LEADS.index(lead) for lead in group]
        told += torch.stack([part["ST 60"], late], dim=2)[:, columns].nanmean(1).unbind(1)
    facing = [index for index, lead in enumerate(LEADS) if lead != "aVR"]
    seen = torch.nan_to_num(late[:, facing], nan=0.0)
    ordered = seen.sort(dim=1).values
    told += [*ordered[:, :3].unbind(1), *ordered[:, -2:].flip(1).unbind(1)]
    flat = late - j < 0.03
    told += [((late < limit) & flat)[:, facing].float().sum(1) for limit in (-0.05, -0.1)]
    first, second = (late[:, side] for side in PAIRS)
    told += [torch.nan_to_num(torch.maximum(first, second), nan=9.0).amin(1)]
    told += [seen.clamp(max=0).sum(1)]
    told += [torch.nan_to_num(part["T low"][:, facing]).clamp(max=0).sum(1)]
    rest = level[..., :3].mean(2)
    told += [torch.nan_to_num((late - rest)[:, facing]).amin(1)]
    told += [r[:, LEADS.index("aVL")] - part["S"][:, LEADS.index("V3")]]
    told += [(r - torch.minimum(part["S"], part["Q"])).nanmean(1)]
    share = late / (r + 0.1)
    return told + [share[:, LEADS.index(lead)] for lead in ("I", "II", "V4", "V5", "V6")]


def _of_qrs(level: Tensor, t: Tensor, onset: Tensor, offset: Tensor) -> list[Tensor]:
    """Area of the second half of the QRS, and how often it turns."""
    inside = (t >= onset[:, None]) & (t <= offset[:, None])
    second = inside & (t >= ((onset + offset) // 2)[:, None])
    late = (level * second[:, None]).sum(2)
    step = level.diff(dim=2)
    before, after = step[..., :-1], step[..., 1:]
    turned = (after * before < 0) & (after - before).abs().gt(0.04) & inside[:, None, 1:-1]
    turns = torch.where(level[..., 0].isnan(), torch.nan, turned.float().sum(2))
    told = [late[:, LEADS.index(lead)] for lead in ("V1", "V2", "I", "V6")]
    return told + [turns[:, LEADS.index(one)] for one in ("V1", "V2", "I", "aVL", "V5", "V6")]


def _of_leads(level: Tensor, t: Tensor, onset: Tensor, offset: Tensor, p_peak: Tensor) -> Tensor:
    """(n, 12, `OF_A_LEAD`): heights in mV over the PR segment, and when R comes."""
    inside = (t >= onset[:, None]) & (t <= offset[:, None])
    within = torch.where(inside[:, None], level, 0.0)
    r, r_at = within.max(2)
    after = t >= r_at[..., None]
    s = torch.where(after, within, 0.0).amin(2)
    q = torch.where(after, 0.0, within).amin(2)
    later_r = torch.where(t > within.argmin(2)[..., None], within, 0.0).amax(2)
    st = [_mean_between(level, t, offset + lag, offset + lag + 1) for lag in (1, 4, 6, 8)]
    wave = (t >= (offset + 8)[:, None]) & (t <= (offset + 36)[:, None])
    ending = torch.where(wave[:, None], level, 0.0)
    last = _mean_between(level, t, offset - 4, offset - 1)
    p = _mean_between(level, t, p_peak - 1, p_peak + 1)
    r_time = torch.where(r > 0.05, r_at - onset[:, None], torch.nan)
    values = [r, s, q, later_r, within.sum(2), last, r_time, *st, st[3] - st[0]]
    return torch.stack([*values, ending.amax(2), ending.amin(2), ending.sum(2), p], dim=2)


def _of_pairs(of_leads: Tensor) -> Tensor:
    """ST in contiguous leads, the frontal axis, the voltage of V1 and V5."""
    st = of_leads[..., OF_A_LEAD.index("ST 60")]
    first, second = (st[:, side] for side in PAIRS)
    high, low = torch.minimum(first, second), torch.maximum(first, second)
    area = of_leads[..., OF_A_LEAD.index("area")]
    axis = torch.atan2(2 / math.sqrt(3) * area[:, LEADS.index("aVF")], area[:, 0])
    voltage = of_leads[:, LEADS.index("V5"), 0] - of_leads[:, LEADS.index("V1"), 1]
    found = [torch.nan_to_num(high, nan=-9.0).amax(1), torch.nan_to_num(low, nan=9.0).amin(1)]
    found += [(st < -0.05).float().sum(1), (st > 0.1).float().sum(1), st.nanmean(1)]
    return torch.stack([*found, axis, voltage], dim=1)


def _edges(curve: Tensor, peak: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
    """Where ``curve`` (n, t) last rises above each ``level`` (n, m) before ``peak``, and first
    falls under it after; between two samples, linearly; the edge of the beat where there is none.
    """
    last = curve.shape[1] - 1
    t = torch.arange(last + 1, device=curve.device)
    low = curve[:, None] < level[..., None]
    side = t - peak[:, None, None]
    left = torch.where(low & (side < 0), t, -1).amax(2)
    right = torch.where(low & (side > 0), t, last + 1).amin(2)
    outer, inner = torch.cat([left, right], dim=1), torch.cat([left + 1, right - 1], dim=1)
    under, over = curve.gather(1, outer.clamp(0, last)), curve.gather(1, inner.clamp(0, last))
    part = ((level.repeat(1, 2) - under) / (over - under).clamp(min=1e-6)).clamp(0, 1)
    starts, ends = (outer + part * (inner - outer)).chunk(2, dim=1)
    return starts, ends


def _mean_between(level: Tensor, t: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """(n, 12, t) -> (n, 12): the mean from sample ``start`` to ``end``, both included."""
    inside = ((t >= start[:, None]) & (t <= end[:, None])).float()[:, None]
    return (level * inside).sum(2) / inside.sum(2).clamp(min=1)
