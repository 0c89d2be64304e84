"""What finds and reads lead names and printed scales is trained from drawn pages to files that
ship."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest

from ecg4u.digitize.networks import WEIGHTS, Network
from training import page_networks, train_names, train_places, train_printed, train_units
from training.page_networks import FINDER_OF_NAMES, READER_OF_NAMES, READER_OF_PRINT, Shipped

FONTS = Path(matplotlib.get_data_path()) / "fonts"
STEPS = 2

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's exporter


def files_of(*folders: Path) -> dict[Path, int]:
    """When each was written last."""
    return {path: path.stat().st_mtime_ns for folder in folders for path in folder.iterdir()}


def trained(network: Shipped, out: Path) -> dict[str, Any]:
    """The card of a training that left all it has to, and a network that answers as it has to."""
    assert {path.suffix for path in out.iterdir()} == {".safetensors", ".onnx", ".json"}
    seen = np.random.default_rng(0).random(network.example, dtype=np.float32)
    answer = Network(out / f"{network.name}.onnx")(seen)
    assert answer.shape[1] == Network(WEIGHTS / f"{network.name}.onnx")(seen).shape[1]
    for group in network.softmax:
        assert answer[:, group].sum(axis=1) == pytest.approx(1.0, abs=1e-5)
    card = json.loads((out / f"{network.name}.json").read_text())
    assert (card["steps"], card["seed"]) == (STEPS, 0)
    assert np.isfinite(card["last_losses"]).all()
    assert 0.5 <= card["temperature"] <= 2.0
    return card


def test_the_reader_of_names_is_trained(
    records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = files_of(WEIGHTS, page_networks.WEIGHTS)
    monkeypatch.setattr(train_names, "VALIDATION", 40)
    monkeypatch.setattr(train_names, "PATCHES", 2)
    kept, out = tmp_path / "kept" / "names.pt", tmp_path / "out"
    options = ["--records", records, "--fonts", FONTS, "--pages", 2, "--steps", STEPS]
    options += ["--checkpoint", kept, "--out", out]
    monkeypatch.setattr("sys.argv", ["train_names", *map(str, options)])
    train_names.main()
    card = trained(READER_OF_NAMES, out)
    assert card["validation"]["drawn"]["n"] == 20
    assert card["validation"]["pages"]["names"] > 0
    assert sorted(path.name for path in kept.parent.iterdir()) == [
        "names.pt",
        "names_seen_train_2_0.npz",
        "names_seen_valid_1_1.npz",
    ]
    assert files_of(WEIGHTS, page_networks.WEIGHTS) == shipped


def test_the_finder_of_names_is_trained(
    records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = files_of(WEIGHTS, page_networks.WEIGHTS)
    monkeypatch.setattr(train_places, "VALIDATION_PAGES", 1)
    monkeypatch.setattr(train_places, "CROPS_PER_PAGE", 8)
    monkeypatch.setattr(train_places, "BATCH", 2)
    monkeypatch.setattr(train_places, "ProcessPoolExecutor", ThreadPoolExecutor)
    kept, out = tmp_path / "kept" / "places.pt", tmp_path / "out"
    options = [records, "--fonts", FONTS, "--pages", 1, "--steps", STEPS, "--workers", 1]
    options += ["--checkpoint", kept, "--out", out]
    monkeypatch.setattr("sys.argv", ["train_places", *map(str, options)])
    train_places.main()
    card = trained(FINDER_OF_NAMES, out)
    assert card["crops"] == {"train": 8, "valid": 8}
    assert card["validation"]["names"] > 0
    assert sorted(path.name for path in kept.parent.iterdir()) == [
        "places.pt",
        "places_train_1_0.npz",
        "places_valid_1_1.npz",
    ]
    assert files_of(WEIGHTS, page_networks.WEIGHTS) == shipped


def test_what_finds_units_is_trained_and_names_stay_as_they_are(
    records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = files_of(WEIGHTS, page_networks.WEIGHTS)
    monkeypatch.setattr(train_units, "VALIDATION_PAGES", 1)
    monkeypatch.setattr(train_units, "BATCH", 2)
    monkeypatch.setattr(train_places, "ProcessPoolExecutor", ThreadPoolExecutor)
    kept, out = tmp_path / "kept" / "units.pt", tmp_path / "out"
    options = [records, "--fonts", FONTS, "--pages", 1, "--steps", STEPS, "--workers", 1]
    options += ["--checkpoint", kept, "--out", out]
    monkeypatch.setattr("sys.argv", ["train_units", *map(str, options)])
    train_units.main()
    card = json.loads((out / "places.json").read_text())["units"]
    assert (card["steps"], card["crops"]) == (STEPS, {"train": 12, "valid": 12})
    seen = np.random.default_rng(0).random(FINDER_OF_NAMES.example, dtype=np.float32)
    before, after = (Network(folder / "places.onnx")(seen) for folder in (WEIGHTS, out))
    names = train_places.SIDES.stop
    assert after[:, :names] == pytest.approx(before[:, :names], abs=1e-6)
    assert np.abs(after[:, names:] - before[:, names:]).max() > 1e-3
    assert files_of(WEIGHTS, page_networks.WEIGHTS) == shipped

    monkeypatch.setattr(train_printed, "VALIDATION", 4)
    monkeypatch.setattr(train_printed, "VALIDATION_PAGES", 1)
    monkeypatch.setattr(train_printed, "BATCH", 4)
    kept, out = tmp_path / "kept" / "printed.pt", tmp_path / "printed"
    options = [records, "--fonts", FONTS, "--pages", 1, "--steps", STEPS, "--workers", 1]
    options += ["--checkpoint", kept, "--out", out]
    monkeypatch.setattr("sys.argv", ["train_printed", *map(str, options)])
    train_printed.main()
    card = json.loads((out / "printed.json").read_text())
    assert card["validation"]["lines"] == 4
    assert card["validation_on_pages"]["lines"] == 2
    seen = np.random.default_rng(0).random(READER_OF_PRINT.example, dtype=np.float32)
    assert Network(out / "printed.onnx")(seen).sum(axis=1) == pytest.approx(1.0, abs=1e-5)
    assert files_of(WEIGHTS, page_networks.WEIGHTS) == shipped
