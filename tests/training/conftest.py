from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest


@pytest.fixture(scope="session")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recordings of slow waves, to train and to validate, in the form of the data folder."""
    folder = tmp_path_factory.mktemp("records")
    lines = ["dataset,record,file,split"]
    with h5py.File(folder / "a.h5", "w") as file:
        file.attrs["millivolts_per_count"] = 0.005
        for key, split in (("r1", "train"), ("r2", "valid")):
            t = np.arange(3000) / 250
            waves = [100 * np.sin(2 * np.pi * (0.5 + 0.1 * k) * t) for k in range(12)]
            file[key] = np.array(waves).astype(np.int16)
            file[key].attrs["fs"] = 250
            lines.append(f"A,{key},a.h5,{split}")
    (folder / "index.csv").write_text("\n".join(lines) + "\n")
    return folder
