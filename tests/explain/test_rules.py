"""Single rules and constants of the measurements, each at its limit."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from made_hearts import train
from test_criteria import decide, features

from ecg4u.explain import measure_features
from ecg4u.explain.beats import QRSList
from ecg4u.explain.measure import classify_beats, joint
from ecg4u.explain.signals import FS_HZ


def test_qtc_is_qt_over_the_square_and_the_cube_root_of_rr() -> None:
    found = measure_features(train(rr_s=0.64))
    qt = found.value("qt")
    assert qt is not None
    assert found.value("qtc_bazett") == pytest.approx(qt / 0.8, rel=0.005)
    assert found.value("qtc_fridericia") == pytest.approx(qt / 0.64 ** (1 / 3), rel=0.005)


@pytest.mark.parametrize(
    ("axis", "outcome"),
    [(-36.0, "not met"), (-24.0, "met"), (84.0, "met"), (96.0, "not met")],
)
def test_a_normal_axis_lies_between_minus_30_and_90(axis: float, outcome: str) -> None:
    assert decide(features(axis=axis))["Normal"] == outcome


@pytest.mark.parametrize(
    ("name", "share"), [("P on", 0.25), ("P off", 0.75), ("QRS on", 0.25), ("QRS off", 0.75)]
)
def test_a_wave_lasts_from_its_first_leads_to_its_last(name: str, share: float) -> None:
    """The quarter of the leads in which it begins first, and of those in which it ends last."""
    at = np.arange(100.0, 112.0)
    seen = SimpleNamespace(waves={name: tuple(at)}, median=SimpleNamespace(centre=250))
    value, _, n = joint(seen, name)  # type: ignore[arg-type]
    assert n == 12
    assert value == pytest.approx(1000 * (np.quantile(at, share) - 250) / FS_HZ)


def beats(early_at: int, *, width: int = 45, similarity: float = 0.98) -> QRSList:
    """Ten beats a second apart, one of them after 0.7 s and ``width`` samples wide."""
    gaps = np.ones(10)
    gaps[early_at], gaps[early_at + 1] = 0.7, 1.3
    r = FS_HZ * np.cumsum(gaps)
    half = np.full(10, 22.5)
    half[early_at] = width / 2
    like = np.full(10, 0.99)
    like[early_at] = similarity
    usual = np.arange(10) != early_at if similarity < 0.85 else np.ones(10, dtype=bool)
    return QRSList(r, r - half, r + half, like, usual)


def kinds(found: QRSList, size: float = 1.0) -> list[str]:
    sizes = np.ones(10)
    sizes[5] = size
    return [beat.kind for beat in classify_beats(found, sizes, np.ones(9, dtype=bool))]


@pytest.mark.parametrize(("size", "kind"), [(1.0, "PAC"), (1.35, "PAC"), (1.5, "PVC")])
def test_an_early_broad_beat_is_ventricular_where_it_is_much_taller(size: float, kind: str) -> None:
    """120 ms wide, but no more than 25 ms wider than the usual beats of 100 ms: size decides."""
    early = beats(5, width=61, similarity=0.9)
    wide = np.where(np.arange(10) == 5, 30.5, 25.0)
    found = replace(early, onset=early.r - wide, offset=early.r + wide)
    assert kinds(found, size)[5] == kind


def test_an_early_beat_is_premature_where_it_is_alone() -> None:
    assert kinds(beats(5))[5] == "PAC"
    faster = beats(5)
    rr = np.diff(faster.r, prepend=0.0)
    rr[6] = 0.85 * FS_HZ  # no pause after it: the rhythm has become faster
    r = np.cumsum(rr)
    found = replace(faster, r=r, onset=r - 22.5, offset=r + 22.5)
    assert kinds(found)[5] == "usual"
