"""Coverage-guided fuzzing of the readers (pip install atheris).

    python tests/fuzz/fuzz_inputs.py pages -max_total_time=600
    python tests/fuzz/fuzz_inputs.py records -max_total_time=600
    python tests/fuzz/fuzz_inputs.py sidecars -max_total_time=600

An input has at most 64 kB, 30 s and 2 GB (`BOUNDS`). Anything but an `ECG4UError` is a finding;
what was found is kept, as small as can be, in ``corpus/`` and replayed by ``test_fuzz_corpus.py``.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import io
import json
import os
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from ecg4u.errors import ECG4UError

BOUNDS = ("-max_len=65536", "-timeout=30", "-rss_limit_mb=2048")
PARSERS = ("ecg4u.io", "ecg4u.digitize.sidecar")
CORPUS = Path(__file__).parent / "corpus"
ODD_VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 1, 7, 255, 2**31, -(2**63), 10**400, 0.5, -0.0, 1e-300, 1e300),
    *("", "x", "II", "V1", "3x4", "0" * 64, "\ud800", "1e9", [], {}, [[]], [None], [0.0] * 4),
    *([[1e9, -1e9]] * 4, [1] * 5000, {"x": {"x": []}}),
)
RECORD_NAMES = ("x.hea", "x.h5", "x.csv", "x.edf", "x.dcm")


def read_any_page(data: bytes) -> None:
    """Bytes as a page file."""
    from ecg4u.io import read_pages

    with contextlib.suppress(ECG4UError):
        for page in read_pages(data, pdf_dpi=36):
            assert page.image.shape[2] == 3


def read_any_record(data: bytes) -> None:
    """The first byte says which kind of record file the rest is."""
    from ecg4u.io import is_record_file, read_record

    if not data:
        return
    with tempfile.TemporaryDirectory(prefix="fuzz") as folder:
        path = Path(folder) / RECORD_NAMES[data[0] % len(RECORD_NAMES)]
        path.write_bytes(data[1:])
        (Path(folder) / "x.dat").write_bytes(bytes(24 * 40))
        is_record_file(path)
        with contextlib.suppress(ECG4UError):
            assert read_record(path).p_signal.shape[1] == 12


def read_any_sidecar(data: bytes) -> None:
    """Bytes as a sidecar; or, after a zero byte, edits of a real one, which a page then gets."""
    from ecg4u.digitize import Sidecar, digitize_page

    page, text = a_read_page()
    source = data if data[:1] != b"\0" else edited(json.loads(text), data[1:])
    with contextlib.suppress(ECG4UError):
        sidecar = Sidecar.from_json(source)
        Sidecar.from_json(sidecar.to_json().encode())
        record = digitize_page(page, sidecar=sidecar).record
        assert record.p_signal.shape[1] == 12
        assert not np.isinf(record.p_signal).any()


@functools.cache
def a_read_page() -> tuple[Any, str]:
    """A small drawn page without its ink (a sidecar needs none), and the sidecar of its reading."""
    from dataclasses import replace

    from ecg4u.digitize import digitize_page
    from ecg4u.io import Page
    from ecg4u.paper.draw import draw_page
    from ecg4u.paper.layouts import LAYOUTS
    from ecg4u.paper.style import PageStyle
    from ecg4u.record import ECGRecord

    signal = np.tile(np.exp(-(((np.arange(400) - 200) / 8.0) ** 2)), 13)[:5000]
    style = PageStyle(px_per_mm=4.2, row_pitch=20.0, margin=(6.0, 6.0, 4.0, 4.0))
    drawn = draw_page(ECGRecord(np.outer(signal, np.linspace(0.4, 1.2, 12))), LAYOUTS["3x4"], style)
    found = digitize_page(Page(drawn.image, "0" * 64))
    assert found.basis is not None
    blank = replace(found.page, image=np.full_like(drawn.image, 255))
    return blank, found.basis.to_json()


def edited(tree: Any, script: bytes) -> bytes:
    """The JSON after edits: each three bytes choose a place and an odd value, or another's."""
    for start in range(0, min(len(script) - 2, 12), 3):
        places = list(places_in(tree))
        where, key = places[int.from_bytes(script[start : start + 2]) % len(places)]
        choice = script[start + 2]
        if choice >= 250:
            other, name = places[choice * 37 % len(places)]
            where[key] = copy.deepcopy(other[name])
        elif choice >= 240:
            del where[key]
        else:
            where[key] = copy.deepcopy(ODD_VALUES[choice % len(ODD_VALUES)])
        if not tree:
            break
    return json.dumps(tree).encode()


def places_in(tree: Any) -> Any:
    """Pairs of a container and a key; of a list only its first two and its last."""
    if isinstance(tree, dict):
        keys: list[Any] = list(tree)
    elif isinstance(tree, list):
        keys = sorted({0, 1, len(tree) - 1} & set(range(len(tree))))
    else:
        return
    for key in keys:
        yield tree, key
        yield from places_in(tree[key])


def page_seeds() -> list[bytes]:
    """One small file of each page format."""
    from PIL import Image

    grey = (np.arange(24 * 32).reshape(24, 32) % 251).astype(np.uint8)
    image = Image.fromarray(np.stack([grey, grey.T.reshape(24, 32), 255 - grey], axis=2))
    seeds = []
    for format, options in (
        ("PNG", {}),
        ("JPEG", {"exif": b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x00\x00"}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("BMP", {}),
        ("WEBP", {"lossless": True}),
        ("PDF", {}),
    ):
        buffer = io.BytesIO()
        image.save(buffer, format, **options)
        seeds.append(buffer.getvalue())
    heic = Path(__file__).parents[1] / "io" / "data" / "quadrants.heic"
    return [*seeds, heic.read_bytes()]


def record_seeds() -> list[bytes]:
    """One small file of each record format, after the byte that says which."""
    from ecg4u.io import write_record
    from ecg4u.record import ECGRecord

    signal = np.sin(np.arange(40 * 12).reshape(40, 12) / 9)
    signal[:10, 3] = np.nan
    seeds = []
    with tempfile.TemporaryDirectory() as folder:
        for index, format in enumerate(("wfdb", "hdf5", "csv", "edf", "dicom")):
            path = write_record(ECGRecord(signal, 500.0), Path(folder) / "x", format)[0]
            seeds.append(bytes([index]) + path.read_bytes())
    return seeds


def sidecar_seeds() -> list[bytes]:
    """A short sidecar that is refused late, and scripts of edits."""
    tree = json.loads(a_read_page()[1])
    for where, key in list(places_in(tree)):
        if isinstance(where.get(key) if isinstance(where, dict) else None, list):
            where[key] = where[key][:4]
    short = json.dumps(tree).encode()
    scripts = [bytes([0, n, n * 7 % 256, n * 11 % 256]) for n in range(0, 256, 16)]
    return [short, *scripts]


TARGETS = {
    "pages": (read_any_page, page_seeds),
    "records": (read_any_record, record_seeds),
    "sidecars": (read_any_sidecar, sidecar_seeds),
}


def our_modules() -> list[str]:
    """Names of all modules of ecg4u, none of them imported."""
    root = Path(__file__).parents[2]
    paths = [path.relative_to(root).with_suffix("") for path in root.glob("ecg4u/**/*.py")]
    return [".".join(path.parts).removesuffix(".__init__") for path in paths]


def instrument(atheris: Any) -> None:
    """Import what is to guide the fuzzer, before anything else does.

    That is code which parses. What compares arrays is left alone: of each comparison atheris 3.0
    keeps the result for ever, 4 MB a page, which looked like a leak of ours.
    """
    with atheris.instrument_imports(
        include=["ecg4u", "PIL", "pydicom", "wfdb", "edfio"],
        exclude=[name for name in our_modules() if not name.startswith(PARSERS)],
        enable_loader_override=False,
    ):
        import edfio  # noqa: F401
        import PIL.Image
        import pydicom  # noqa: F401
        import wfdb  # noqa: F401

        import ecg4u.digitize.pipeline
        import ecg4u.digitize.sidecar.corrections
        import ecg4u.digitize.sidecar.form
        import ecg4u.io  # noqa: F401

        PIL.Image.init()


def main() -> None:
    """Fuzz the target named first; further arguments go to libFuzzer."""
    import atheris

    from ecg4u.limits import ENVIRONMENT

    os.environ.update(ENVIRONMENT)  # as every worker: caches of kernels would look like a leak
    warnings.simplefilter("ignore")
    instrument(atheris)
    target, seeds = TARGETS[sys.argv[1]]
    with tempfile.TemporaryDirectory(prefix="seeds") as folder:
        for number, seed in enumerate(seeds()):
            (Path(folder) / f"seed{number}").write_bytes(seed)
        atheris.Setup([sys.argv[0], *BOUNDS, *sys.argv[2:], folder], target)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
