"""Records that reach for other files, carry names, or state what no ECG has."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import h5py
import hostile_files
import numpy as np
import pytest

from ecg4u.batch.deidentify import deidentified
from ecg4u.errors import ECG4UError, InvalidRecordError
from ecg4u.io import is_record_file, read_record, write_record
from ecg4u.io.files import sha256_of
from ecg4u.io.leads import split_unit
from ecg4u.io.provenance import from_json, to_json
from ecg4u.record import LEADS, ECGRecord, Provenance

QUICK = ("edf", "dicom", "damaged")


def flat(value: float = 0.0, n: int = 500) -> np.ndarray:
    return np.full((n, 12), value)


@pytest.mark.parametrize("kind", QUICK)
def test_hostile_files_are_refused_or_read(kind: str, tmp_path: Path) -> None:
    for path in hostile_files.write_all(tmp_path, [kind])[kind]:
        read_or_refused(path)


def read_or_refused(path: Path) -> ECGRecord | None:
    with contextlib.suppress(ECG4UError):
        return read_record(path) if is_record_file(path) else None
    return None


def test_no_link_leads_into_another_file(tmp_path: Path) -> None:
    folder = tmp_path / "hdf5"
    folder.mkdir()
    n_links = 0
    for name, content in hostile_files.hdf5s():
        if name == hostile_files.SECRET or name.startswith(("external", "relative", "virtual")):
            assert isinstance(content, bytes)
            (folder / name).write_bytes(content)
            if name == hostile_files.SECRET:
                continue
            n_links += 1
            record = read_or_refused(folder / name)
            if record is not None:
                assert not np.isclose(record.p_signal, 7.125).any()
                assert record.confidence is None
        if name.startswith("claims"):
            break
    assert n_links == 9


@pytest.mark.parametrize("target", ["p_signal", "confidence", "fs"])
@pytest.mark.parametrize("kind", [h5py.ref_dtype, h5py.string_dtype(), np.dtype([("a", "f4")])])
def test_only_numbers_are_read(kind: np.dtype, target: str, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        hostile_files.own(file)
        if target != "p_signal":
            file["p_signal"] = flat()
        if target == "fs":
            del file.attrs["schema"], file.attrs["fs"]
        file.create_dataset(target, (1,) if target == "fs" else (500, 12), kind)
    with pytest.raises(ECG4UError, match="no recording of that name"):
        read_record(tmp_path / "x.h5")


def test_comments_are_the_same_to_wfdb_and_to_us(tmp_path: Path) -> None:
    (tmp_path / "x.dat").write_bytes(bytes(2 * 500))
    (tmp_path / "secret").write_bytes(b"77" * 500)
    for mark in (" #", "\u00e9#", "\x0c#", "#"):
        comment = f"{mark} x.dat 16 1000 16 0 0 0 0 V6"
        lines = ["x 1 500 500", comment, "secret 16 1000 16 0 0 0 0 I"]
        (tmp_path / "x.hea").write_text("\n".join(lines), encoding="utf-8")
        assert read_record(tmp_path / "x.hea").p_signal[0, 0] == pytest.approx(14.135)
        lines[2] = "../x.dat 16 1000 16 0 0 0 0 I"
        (tmp_path / "x.hea").write_text("\n".join(lines), encoding="utf-8")
        with pytest.raises(ECG4UError):
            read_record(tmp_path / "x.hea")


@pytest.mark.parametrize(
    "change", ["16:2000000000", "16x100000", "516", "16+4000000000"], ids=lambda c: str(c)
)
def test_a_header_that_asks_for_memory(change: str, tmp_path: Path) -> None:
    (tmp_path / "x.dat").write_bytes(bytes(1000))
    (tmp_path / "x.hea").write_text(f"x 1 500\nx.dat {change} 1000 16 0 0 0 0 I\n")
    with pytest.raises(ECG4UError):
        read_record(tmp_path / "x.hea")


def test_a_header_without_a_count_is_bounded_by_its_file(tmp_path: Path) -> None:
    with open(tmp_path / "x.dat", "wb") as file:
        file.truncate(400_000_000)
    (tmp_path / "x.hea").write_text("x 1 500\nx.dat 8 1000 16 0 0 0 0 I\n")
    with pytest.raises(ECG4UError, match="states no samples"):
        read_record(tmp_path / "x.hea")


@pytest.mark.parametrize(
    "values",
    [
        {"fs": 1e300},
        {"fs": 1e-300},
        {"fs": 1e9},
        {"fs": np.nan},
        {"p_signal": flat(1e300)},
        {"p_signal": flat(np.inf)},
        {"p_signal": flat(-20_000.0)},
        {"p_signal": flat(n=2_000_001)},
        {"p_signal": flat(n=50_000), "fs": 12.0},
        {"confidence": flat(2.0)},
        {"age": 200.0},
        {"age": np.nan},
    ],
    ids=str,
)
def test_the_gate(values: dict[str, Any]) -> None:
    with pytest.raises(InvalidRecordError) as caught:
        ECGRecord(**{"p_signal": flat(), **values})
    assert isinstance(caught.value, ValueError)
    assert caught.value.exit_code == 3


def test_a_tiny_gain_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "x.dat").write_bytes(b"77" * 500)
    (tmp_path / "x.hea").write_text("x 1 500 500\nx.dat 16 1e-300 16 0 0 0 0 I\n")
    with pytest.raises(InvalidRecordError):
        read_record(tmp_path / "x.hea")


def planted(word: str) -> Provenance:
    details = {"patient": word, "corrected by hand": [word]}
    return Provenance("digital", word, (word, "paper speed 25 mm/s"), details)


@pytest.mark.parametrize("format_", ["wfdb", "hdf5", "dicom"])
@pytest.mark.parametrize("word", ["John Doe", "\ud800Doe", "deadbeef" * 8 + "Doe"])
def test_names_in_the_provenance_do_not_come_out(format_: str, word: str, tmp_path: Path) -> None:
    path = write_record(ECGRecord(flat(), provenance=planted(word)), tmp_path / "x", format_)[0]
    found = read_record(path)
    said = to_json(found.provenance)
    assert "Doe" not in said
    assert "d800" not in said
    assert found.provenance.inferred == ("paper speed 25 mm/s",)


def test_numbers_of_other_scripts_are_not_ours() -> None:
    said = Provenance("digital", "", ("gain \u0661\u0662 mm/mV", "gain 10 mm/mV"))
    found = from_json(to_json(said))
    assert found is not None
    assert found.inferred == ("gain 10 mm/mV",)


def test_what_ecg4u_says_itself_is_read_back() -> None:
    corrected = [
        "corners of the page",
        "layout 3x4+1 (found: 6x2+1-simultaneous)",
        "gain 5 mm/mV (found: 10)",
        "gain of the chest leads 2.5 mm/mV (found: 10)",
        "paper speed 50 mm/s (found: 25)",
        "segment 1.2 is aVR (found: aVL)",
        "segment 1.2 left out (found: V1)",
        "V1 (segment 0.3) begins at 2.5 s",
        "V1 (segment 0.3) redrawn over 1.25 s",
    ]
    inferred = ("gain 10 mm/mV", "names of leads I, aVR, V6", "lead II from a modified limb lead")
    said = Provenance("digitized", "ab" * 32, inferred, {"corrected by hand": corrected})
    assert from_json(to_json(said)) == said


def test_deidentified_provenance_is_made_anew() -> None:
    from ecg4u.analysis import Analysis

    record = ECGRecord(flat(), provenance=Provenance("digitized", "ab" * 32, (), {"rows": 1}))
    found = deidentified(Analysis(record), "cd" * 32).record.provenance
    assert (found.kind, found.source_sha256, dict(found.details)) == ("digital", "cd" * 32, {})
    assert "ab" not in json.dumps(to_json(found))


@pytest.mark.parametrize("label", ["I" + "_" * 16_000, "_" * 16_000, "ecg_" * 5_000, "[" * 16_000])
def test_long_labels_take_no_time(label: str, tmp_path: Path) -> None:
    import time

    begun = time.process_time()
    split_unit(label)
    (tmp_path / "x.csv").write_text(f"t,{label}\n0,0\n")
    is_record_file(tmp_path / "x.csv")
    assert time.process_time() - begun < 0.5


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "x.csv")
    assert not is_record_file(tmp_path / "x.csv")
    with pytest.raises(ECG4UError, match="not a regular file"):
        sha256_of(tmp_path / "x.csv")


def test_a_csv_may_mix_its_line_ends(tmp_path: Path) -> None:
    rows = [b"%g,%g" % (i / 500, i / 1000) for i in range(300)]
    table = b"\r".join(rows[:100]) + b"\n" + b"\n".join(rows[100:200]) + b"\r\n"
    (tmp_path / "x.csv").write_bytes(b"time_s,I_mV\n" + table + b"\r\n".join(rows[200:]))
    assert np.allclose(read_record(tmp_path / "x.csv").lead("I"), np.arange(300) / 1000)


def test_a_csv_of_too_many_lines_is_refused_before_it_is_split(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"I\n" + b"0\n" * 3_000_000)
    with pytest.raises(ECG4UError, match="than can be read"):
        read_record(tmp_path / "x.csv", fs=500)


def test_hdf5_is_packed_once(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((500, 12))
        plist.set_deflate(9)
        plist.set_deflate(9)
        space = h5py.h5s.create_simple((500, 12))
        h5py.h5d.create(file.id, b"p_signal", h5py.h5t.IEEE_F32LE, space, plist)
        file["p_signal"][...] = 0
        hostile_files.own(file)
    with pytest.raises(ECG4UError, match="more than once"):
        read_record(tmp_path / "x.h5")


def test_all_data_sets_together_are_bounded(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for lead in LEADS:
            file.create_dataset(lead, (4_000_000,), "f4", chunks=(100_000,), compression=1)
            file[lead].attrs["fs"] = 500.0
    with pytest.raises(ECG4UError, match="than can be read"):
        read_record(tmp_path / "x.h5")


def test_a_name_with_a_slash_is_no_way_into_another_file(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["p_signal"] = np.full((500, 12), 7.125, np.float32)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["ab"] = h5py.ExternalLink("other.h5", "/")
        file["ab_p_signal"] = flat()
        file.attrs["fs"] = 500.0
    data = (tmp_path / "x.h5").read_bytes()
    assert data.count(b"ab_p_signal") == 1
    (tmp_path / "x.h5").write_bytes(data.replace(b"ab_p_signal", b"ab/p_signal"))
    with pytest.raises(ECG4UError):
        read_record(tmp_path / "x.h5")


def test_a_rate_from_another_file_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["fs"] = np.array([250.0])
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["I"] = np.zeros(500)
        layout = h5py.VirtualLayout((1,), "f8")
        layout[:] = h5py.VirtualSource("other.h5", "fs", (1,))
        file.create_virtual_dataset("fs", layout)
    with pytest.raises(ECG4UError, match="other files"):
        read_record(tmp_path / "x.h5")


@pytest.mark.parametrize("step", ["5e-324", "1e-310"])
def test_steps_too_small_for_a_rate(step: str, tmp_path: Path) -> None:
    rows = [f"{number * float(step)!r},0" for number in range(300)]
    (tmp_path / "x.csv").write_text("\n".join(["time_s,I", *rows]))
    with pytest.raises(ECG4UError, match="sampling rate"):
        read_record(tmp_path / "x.csv")


@pytest.mark.parametrize(
    "annotation",
    [b"+0\x14ecg4u samples: " + b"9" * 5000, b"+" + b"9" * 400 + b"\x14ecg4u not shown: I"],
    ids=["count", "onset"],
)
def test_edf_annotations_of_numbers_without_end(annotation: bytes, tmp_path: Path) -> None:
    import edfio

    room = "y" * (len(annotation) + 10)
    signal = edfio.EdfSignal(np.zeros(5000), 500.0, label="I", physical_range=(-32, 32))
    edf = edfio.Edf([signal], annotations=[edfio.EdfAnnotation(0, None, room)])
    said = b"+0\x14" + room.encode()
    data = edf.to_bytes()
    assert said in data
    (tmp_path / "x.edf").write_bytes(data.replace(said, annotation.ljust(len(said), b"\0")))
    read_or_refused(tmp_path / "x.edf")


def test_no_header_takes_the_place_of_the_one_that_was_checked(tmp_path: Path) -> None:
    (tmp_path / "x.hea").write_text("x.mat 1 500 50\nrecord.hea 16 1000 16 0 0 0 0 I\n")
    (tmp_path / "record.hea").write_text("record 1 500 50\nrecord.hea 16 1 16 0 0 0 0 I\n" * 9)
    with pytest.raises(ECG4UError, match="header"):
        read_record(tmp_path / "x.hea")


def test_a_private_copy_of_a_header_holds_no_comment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import wfdb

    copies: list[str] = []
    rdrecord = wfdb.rdrecord

    def watched(name: str) -> Any:
        copies.extend(p.read_bytes().decode() for p in Path(name).parent.iterdir())
        return rdrecord(name)

    monkeypatch.setattr(wfdb, "rdrecord", watched)
    (tmp_path / "x.mat").write_bytes(bytes(1000))
    (tmp_path / "x.hea").write_text(
        "x.mat 1 500 500\nx.mat 16 1000 16 0 0 0 0 I\n# Name: Doe\n# Age: 50\n"
    )
    assert read_record(tmp_path / "x.hea").age == 50.0
    assert len(copies) == 2
    assert not any("Doe" in copy for copy in copies)


def test_signal_files_are_bounded_together(tmp_path: Path) -> None:
    lines = ["x 3 500 500"]
    for number in range(3):
        hostile_files._sparse(tmp_path / f"{number}.dat", 200_000_000)
        lines.append(f"{number}.dat 16 1000 16 0 0 0 0 V{number + 1}")
    (tmp_path / "x.hea").write_text("\n".join(lines))
    with pytest.raises(ECG4UError, match="in total"):
        read_record(tmp_path / "x.hea")
