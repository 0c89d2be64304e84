import numpy as np
import pytest
import torch

from ecg4u.record import CLASSES, LEADS
from training.physiology import Physiology, changed, early_beat, long_pr, st_shift, warped

BEATS = np.arange(0.5, 10, 1.0)
NORMAL, PAC, PVC = (CLASSES.index(name) for name in ("Normal", "PAC", "PVC"))


def sinus() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Two recordings of P, QRS and T at 60 a minute; labels Normal."""
    t = np.arange(1000) / 100
    lead = np.zeros(1000)
    for beat in BEATS:
        for at, size, width in ((-0.16, 0.15, 0.02), (0, 1.0, 0.012), (0.26, 0.3, 0.04)):
            lead += size * np.exp(-0.5 * ((t - beat - at) / width) ** 2)
    leads = torch.from_numpy(np.tile(lead, (2, 12, 1))).float()
    targets = torch.zeros(2, len(CLASSES) + 3)
    targets[:, NORMAL] = 1
    return leads, torch.ones_like(leads), targets


def r_peaks(lead: torch.Tensor) -> np.ndarray:
    x = lead.numpy()
    return np.flatnonzero((x[1:-1] > 0.7) & (x[1:-1] >= x[:-2]) & (x[1:-1] > x[2:])) + 1


def test_one_beat_comes_early_with_its_p_wave_and_is_called_pac() -> None:
    leads, masks, targets = sinus()
    rng = np.random.default_rng(0)
    new, _, labels = changed(leads, masks, targets, rng, Physiology(1, 0, 0))
    interval = np.diff(r_peaks(new[0, 1]))
    assert interval.min() < 85
    assert (np.abs(interval - 100) <= 2).sum() >= len(interval) - 2
    early = r_peaks(new[0, 1])[1 + np.argmin(interval)]
    assert new[0, 1, early - 20 : early - 10].max() > 0.1
    assert labels[0, PAC] == 1
    assert labels[0, NORMAL].isnan()
    assert labels[0, PVC] == 0
    assert labels[0, len(CLASSES) :].isnan().all()
    assert targets[0, PAC] == 0


def test_a_long_pr_moves_p_waves_and_leaves_the_qrs() -> None:
    leads, masks, targets = sinus()
    rng = np.random.default_rng(0)
    new, _, labels = changed(leads, masks, targets, rng, Physiology(0, 1, 0))
    np.testing.assert_allclose(r_peaks(new[0, 1]), r_peaks(leads[0, 1]), atol=1)
    p = [r - 60 + int(new[0, 1, r - 60 : r - 6].argmax()) for r in r_peaks(new[0, 1])[1:]]
    pr = r_peaks(new[0, 1])[1:] - np.array(p)
    assert (pr >= 24).all()
    assert labels[0, CLASSES.index("I-AVB")] == 1


@pytest.mark.parametrize("up", [True, False])
def test_st_moves_in_contiguous_leads_beyond_the_criterion(up: bool) -> None:
    added = st_shift(BEATS, 1000, up, np.random.default_rng(1))
    j_80ms = added[:, 550 + 12]
    assert ((j_80ms >= 0.08) if up else (j_80ms <= -0.05)).sum() >= 3
    assert (np.abs(added[:, 550]) < 1e-6).all()
    assert added.shape == (len(LEADS), 1000)


@pytest.mark.parametrize("make", [early_beat, long_pr])
def test_time_never_runs_backwards(make: object) -> None:
    for seed in range(20):
        knots = make(BEATS, np.random.default_rng(seed))  # type: ignore[operator]
        assert knots is not None
        assert (np.diff(knots[0]) >= 0).all()
        assert (np.diff(knots[1]) >= 0).all()


def test_fast_hearts_leave_no_room_for_a_long_pr() -> None:
    assert long_pr(np.arange(0.5, 10, 0.5), np.random.default_rng(0)) is None


def test_other_rhythms_are_left_alone() -> None:
    leads, masks, targets = sinus()
    targets[:, CLASSES.index("AF")] = 1
    rng = np.random.default_rng(0)
    new, _, labels = changed(leads, masks, targets, rng, Physiology(0.4, 0.4, 0.2))
    assert torch.equal(new, leads)
    assert torch.equal(labels, targets)


def test_no_change_of_time_changes_nothing() -> None:
    leads, masks, _ = sinus()
    same, mask = warped(leads[0], masks[0], np.array([0.0, 5]), np.array([0.0, 5]))
    torch.testing.assert_close(same, leads[0], atol=1e-4, rtol=0)
    assert mask.all()
