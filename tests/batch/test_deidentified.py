"""Names planted in pixels, metadata, signal files and file names: which of them come out."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from batch_pages import beats, draw
from PIL import Image, PngImagePlugin

from ecg4u.io import write_record
from ecg4u.limits import ENVIRONMENT

META, FILE, PIXEL = "Metadine", "Filenamia", "PIXELA"
HEADER = (f"{PIXEL} DOE 1931-04-05 ID 4711",)
TOP_MM, MARGIN_MM = 6.0, 16.0


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pages and records that say `META` inside, stand under `FILE`, and one shows `PIXEL`."""
    folder = tmp_path_factory.mktemp("planted") / f"{FILE} ward"
    plant_pages(folder)
    plant_records(folder)
    return folder


def plant_pages(folder: Path) -> None:
    margin = (6.0, MARGIN_MM, 4.0, 4.0)
    path = draw(folder / f"{FILE}.png", 1, header=HEADER, margin=margin)
    image = Image.open(path)
    image.load()
    text = PngImagePlugin.PngInfo()
    text.add_text("Author", META)
    text.add_itxt("Comment", META)
    image.save(path, pnginfo=text)
    exif = Image.Exif()
    exif[0x010E] = exif[0x013B] = f"{META} Doe"
    small = image.resize((80, 60))
    for suffix in ("jpg", "tif", "webp"):
        small.save(folder / f"{FILE}1.{suffix}", exif=exif)
    small.save(folder / f"{FILE}2.pdf", title=META, author=META, subject=META)
    whole = (folder / f"{FILE}1.jpg").read_bytes()
    (folder / f"{FILE} cut.jpg").write_bytes(whole[: len(whole) // 2])
    damaged = (folder / f"{FILE}1.tif").read_bytes().replace(b"\x11\x01", b"\x99\x99")
    (folder / f"{FILE} damaged.tif").write_bytes(damaged)


def plant_records(folder: Path) -> None:
    import edfio
    import pydicom

    record = beats(3)
    header, _ = write_record(record, folder / FILE, "wfdb")
    said = json.dumps(
        {"kind": "digital", "source_sha256": "", "inferred": [META], "details": {"patient": META}}
    )
    lines = header.read_text().splitlines()
    kept = [line for line in lines if not line.startswith("#")]
    header.write_text("\n".join([*kept, f"# Patient: {META}", f"# ecg4u: {said}", ""]))
    (path,) = write_record(record, folder / FILE, "dicom")
    dataset = pydicom.dcmread(path)
    dataset.PatientName = f"{META}^Doe"
    dataset.save_as(path)
    (path,) = write_record(record, folder / FILE, "edf")
    edf = edfio.read_edf(path)
    edf.patient = edfio.Patient(name=META, code=META)
    edf.write(path)
    (path,) = write_record(record, folder / FILE, "hdf5")
    with h5py.File(path, "a") as file:
        file.attrs["patient"] = META
        file["p_signal"].attrs["patient"] = META
    (path,) = write_record(record, folder / FILE, "csv")
    path.write_text(path.read_text().replace("time_s,", f"{META},", 1))


def run(archive: Path, out: Path, *options: str) -> str:
    """``ecg4u batch`` with one worker; all that it said, and the content of its TMPDIR."""
    temporary = out.parent / "tmp"
    temporary.mkdir()
    environment = {
        **os.environ,
        **ENVIRONMENT,
        "TMPDIR": str(temporary),
        "PYTHONWARNINGS": "always",
        "PYTHONDEVMODE": "1",
    }
    common = ("-j", "1", "--classify", "--report", "--keep-sidecars")
    done = subprocess.run(
        [sys.executable, "-m", "ecg4u.cli", "batch", ".", "-o", str(out), *common, *options],
        cwd=archive,
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 7
    assert done.stdout == ""
    return done.stderr + "".join(map(str, temporary.rglob("*")))


def places(word: str, out: Path, said: str) -> list[str]:
    """Where the word stands: in what was said, in names, in files (also as UTF-16)."""
    found = ["terminal or temporary files"] if word in said else []
    for path in out.rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        if word in str(path.relative_to(out)) or any(
            word.encode(code) in data for code in ("utf-8", "utf-16-le", "utf-16-be")
        ):
            found.append(str(path.relative_to(out)))
    return found


def darkest_above_the_traces(out: Path) -> int:
    """The darkest pixel in the top strip of the page as the report shows it."""
    (report,) = [p for p in out.rglob("report.html") if "image/webp;base64" in p.read_text()]
    shown = re.findall(r"data:image/webp;base64,([A-Za-z0-9+/=]+)", report.read_text())
    darkest = 255
    for data in shown:
        picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("L"))
        darkest = min(darkest, int(picture[: round(len(picture) * TOP_MM / 80)].min()))
    return darkest


def test_nothing_that_was_planted_comes_out(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    said = run(archive, out, "--deidentify")
    for word in (META, FILE, PIXEL):
        assert places(word, out, said) == []
    assert darkest_above_the_traces(out) > 240
    with open(out / "manifest.csv", encoding="utf-8") as file:
        statuses = [line.split(",")[2] for line in file][1:]
    assert statuses.count("done") == 5


def test_without_it_only_file_names_and_pixels_do(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    said = run(archive, out)
    wfdb = {p.parent.relative_to(out) for p in out.rglob("signals.hea") if META in p.read_text()}
    assert len(wfdb) == 1  # the provenance that a WFDB record states of itself is handed on
    assert {str(Path(p).parent) for p in places(META, out, said)} == set(map(str, wfdb))
    assert places(FILE, out, said)
    assert darkest_above_the_traces(out) < 120
