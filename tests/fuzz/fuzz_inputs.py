"""Coverage-guided fuzzing of the readers (pip install atheris).

    python tests/fuzz/fuzz_inputs.py pages -max_total_time=600 -rss_limit_mb=2048
    python tests/fuzz/fuzz_inputs.py records -max_total_time=600 -rss_limit_mb=2048

Anything but an `ECG4UError` is a finding; what was found is kept, as small as can be, in
``corpus/`` and replayed by ``test_fuzz_corpus.py``.
"""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np

from ecg4u.errors import ECG4UError

CORPUS = Path(__file__).parent / "corpus"
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


TARGETS = {"pages": (read_any_page, page_seeds), "records": (read_any_record, record_seeds)}


def main() -> None:
    """Fuzz the target named first; further arguments go to libFuzzer."""
    import atheris

    warnings.simplefilter("ignore")
    target, seeds = TARGETS[sys.argv[1]]
    with tempfile.TemporaryDirectory(prefix="seeds") as folder:
        for number, seed in enumerate(seeds()):
            (Path(folder) / f"seed{number}").write_bytes(seed)
        with atheris.instrument_imports(
            include=["ecg4u.io", "PIL", "pydicom", "wfdb", "edfio"], enable_loader_override=False
        ):
            import edfio  # noqa: F401
            import pydicom  # noqa: F401
            import wfdb  # noqa: F401

            import ecg4u.io  # noqa: F401
        atheris.Setup([sys.argv[0], *sys.argv[2:], folder], target)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
