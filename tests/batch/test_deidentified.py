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
    name = Names()
    plant_pages(folder, name)
    plant_records(folder, name)
    assert name.count >= 40
    return folder


class Names:
    """A new name for every place, so that their number is known."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> str:
        self.count += 1
        return f"{META}{self.count}"


def plant_pages(folder: Path, name: Names) -> None:
    margin = (6.0, MARGIN_MM, 4.0, 4.0)
    path = draw(folder / f"{FILE}.png", 1, header=HEADER, margin=margin)
    image = Image.open(path)
    image.load()
    text = PngImagePlugin.PngInfo()
    for key in ("Author", "Title", "Description"):
        text.add_text(key, name())
    text.add_itxt("Comment", name())
    text.add_itxt("XML:com.adobe.xmp", xmp(name()))
    image.save(path, pnginfo=text)
    small = image.resize((80, 60))
    for suffix in ("jpg", "tif", "webp"):
        exif = Image.Exif()
        for tag in (0x010E, 0x013B, 0x8298, 0x9C9B):  # description, artist, copyright, title
            exif[tag] = f"{name()} Doe" if tag != 0x9C9B else f"{name()} Doe".encode("utf-16-le")
        more = {"comment": name()} if suffix == "jpg" else {}
        if suffix != "tif":
            more["xmp"] = xmp(name()).encode()
        small.save(folder / f"{FILE}1.{suffix}", exif=exif, **more)
    said = {
        key: name() for key in ("title", "author", "subject", "keywords", "creator", "producer")
    }
    small.save(folder / f"{FILE}2.pdf", **said)
    whole = (folder / f"{FILE}1.jpg").read_bytes()
    (folder / f"{FILE} cut.jpg").write_bytes(whole[: len(whole) // 2])
    damaged = (folder / f"{FILE}1.tif").read_bytes().replace(b"\x11\x01", b"\x99\x99")
    (folder / f"{FILE} damaged.tif").write_bytes(damaged)


def xmp(name: str) -> str:
    return f"<x:xmpmeta xmlns:x='adobe:ns:meta/'><creator>{name} Doe</creator></x:xmpmeta>"


def provenance(name: Names) -> str:
    """As ecg4u stores it, with names wherever words can stand."""
    details = {"patient": name(), "corrected by hand": [name()], name(): "x"}
    stated = {"source_sha256": name(), "inferred": [name(), f"gain {name()} mm/mV"]}
    return json.dumps({"kind": "digital", **stated, "details": details})


def plant_records(folder: Path, name: Names) -> None:
    import edfio
    import pydicom

    record = beats(3)
    header, _ = write_record(record, folder / FILE, "wfdb")
    lines = header.read_text().splitlines()
    kept = [line for line in lines if not line.startswith("#")]
    comments = [f"# Patient: {name()}", f"# Name: {name()}", f"# ecg4u: {provenance(name)}", ""]
    header.write_text("\n".join([*kept, *comments]))
    (path,) = write_record(record, folder / FILE, "dicom")
    dataset = pydicom.dcmread(path)
    dataset.PatientName = f"{name()}^Doe"
    dataset.PatientID = dataset.InstitutionName = name()
    dataset.AcquisitionContextDescription = provenance(name)
    dataset.save_as(path)
    (path,) = write_record(record, folder / FILE, "edf")
    edf = edfio.read_edf(path)
    edf.patient = edfio.Patient(name=name(), code=name())
    edf.write(path)
    (path,) = write_record(record, folder / FILE, "hdf5")
    with h5py.File(path, "a") as file:
        file.attrs["patient"] = name()
        file.attrs["provenance"] = provenance(name)
        file["p_signal"].attrs["patient"] = name()
    (path,) = write_record(record, folder / FILE, "csv")
    path.write_text(path.read_text().replace("time_s,", f"{name()},", 1))


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
    assert places(META, out, said) == []
    assert places(FILE, out, said)


@pytest.mark.slow
def test_no_command_tells_what_metadata_says(archive: Path, tmp_path: Path) -> None:
    files = sorted(path for path in archive.iterdir() if path.suffix != ".dat")
    calls = [
        ("classify", "--json", *files),
        *(("info", path) for path in files),
        *(
            ("report", archive / f"{FILE}.{suffix}", "-o", tmp_path / suffix, "--fhir")
            for suffix in ("png", "dcm", "h5", "hea")
        ),
        (
            "digitize",
            archive / f"{FILE}.png",
            "-o",
            tmp_path / "x",
            "--overlay",
            tmp_path / "x.png",
        ),
        ("draw", archive / f"{FILE}.edf", "-o", tmp_path / "drawn.png"),
    ]
    for call in calls:
        done = subprocess.run(
            [sys.executable, "-m", "ecg4u.cli", *map(str, call)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONWARNINGS": "always"},
        )
        assert done.returncode in (0, 3, 4, 7), done.stderr
        assert META not in done.stdout + done.stderr, call
    assert len(list(tmp_path.rglob("report.html"))) == 4
    assert places(META, tmp_path, "") == []
