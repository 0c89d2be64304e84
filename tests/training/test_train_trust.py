"""The model of misread leads is learned from the cache and read by the digitizer."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ecg4u.digitize.signals import trust
from training import train_trust


def fill(cache: Path, pages: int) -> None:
    """Pages of 12 leads: those with a steep step are misread, and one measure is often missing."""
    rng = np.random.default_rng(0)
    cache.mkdir()
    for seed in range(pages):
        measures = rng.normal(size=(12, len(trust.MEASURES)))
        ratio = 15.0 - 5.0 * measures[:, 0] + rng.normal(size=12)
        measures[rng.random(12) < 0.3, 2] = np.nan
        np.savez(cache / f"{seed}.npz", measures=measures, ratio=ratio)


def test_weights_are_learned_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / "cache", 20)
    out = tmp_path / "trust.json"
    options = ["--pages", "20", "--cache", str(tmp_path / "cache"), "--out", str(out)]
    monkeypatch.setattr("sys.argv", ["train_trust", str(tmp_path), *options])
    train_trust.main()
    card = json.loads(out.read_text())
    assert (card["pages"], card["leads"]) == (20, 240)
    assert card["auroc_out_of_fold"] > 0.95
    assert [row["measure"] for row in card["measures"]] == list(trust.MEASURES)
    monkeypatch.setattr(trust, "WEIGHTS", out)
    trust._model.cache_clear()
    steep, usual, gone = (np.zeros((1, len(trust.MEASURES))) for _ in range(3))
    steep[0, 0], gone[0, 0] = 2.0, np.nan
    chances = trust.misread(np.vstack([steep, usual, gone]))
    trust._model.cache_clear()
    assert chances[0] > 0.7 > 0.3 > chances[1]
    assert chances[2] == 1.0


def test_a_page_is_judged_by_models_that_did_not_see_it() -> None:
    page = np.repeat(np.arange(10), 2)
    measures = np.zeros((20, len(trust.MEASURES)))
    measures[:, 0] = page
    misread = np.tile([True, False], 10)
    measures[page == 4, 1] = 50.0 * misread[page == 4]
    chance = train_trust.out_of_fold(measures, misread, page)
    assert abs(chance[8] - chance[9]) < 0.4


def test_what_is_unusual_on_either_side_can_tell_of_misreading() -> None:
    rng = np.random.default_rng(0)
    measures = rng.normal(size=(3000, len(trust.MEASURES)))
    misread = np.abs(measures[:, 3]) > 1.2
    chance = trust.chance(measures, *train_trust.fitted(measures, misread))
    assert chance[misread].mean() > 0.7 > 0.2 > chance[~misread].mean()
