"""Records out and in: independent readers, round trips, other programs' files, bad files."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ecg4u.errors import ECG4UError, NotAnECGError, OutputError, UnreadableInputError, UsageError
from ecg4u.io import FORMATS, is_record_file, read_record, record_paths, write_record
from ecg4u.io.leads import lead_of
from ecg4u.record import LEADS, ECGRecord, Provenance

HALF_STEP_MV = {"wfdb": 5.1e-4, "hdf5": 1e-5, "csv": 5.1e-5, "edf": 5.2e-4, "dicom": 5.1e-4}


def page_record(fs: float = 500.0, n: int = 5000) -> ECGRecord:
    """Twelve different sines, shown as a 3x4 page with rhythm strip II shows them."""
    t = np.arange(n) / fs
    signal = np.stack([np.sin(2 * np.pi * (1 + k) * t) * (0.1 + k) for k in range(12)], axis=1)
    for index in range(12):
        if LEADS[index] != "II":
            shown = slice(index // 3 * n // 4, (index // 3 + 1) * n // 4)
            column = np.full(n, np.nan)
            column[shown] = signal[shown, index]
            signal[:, index] = column
    confidence = np.where(np.isfinite(signal), 0.75, 0.0)
    provenance = Provenance(
        "digitized",
        "ab" * 32,
        ("paper speed 25 mm/s",),
        {"corrected by hand": ["corners of the page"]},
    )
    return ECGRecord(signal, fs, confidence=confidence, provenance=provenance, age=61.0, sex="F")


@pytest.mark.parametrize("format", FORMATS)
def test_round_trip_and_same_bytes(format: str, tmp_path: Path) -> None:
    record = page_record()
    files = write_record(record, tmp_path / "out" / "page", format)
    assert files == record_paths(tmp_path / "out" / "page", format)
    assert sorted(os.listdir(tmp_path / "out")) == sorted(path.name for path in files)
    first = [path.read_bytes() for path in files]
    write_record(record, tmp_path / "again" / "page", format)
    assert [(tmp_path / "again" / path.name).read_bytes() for path in files] == first
    for path in files:
        assert is_record_file(path)
        found = read_record(path)
        assert found.fs == 500.0
        assert np.array_equal(np.isnan(found.p_signal), np.isnan(record.p_signal))
        assert np.nanmax(np.abs(found.p_signal - record.p_signal)) < HALF_STEP_MV[format]


@pytest.mark.parametrize("format", ["wfdb", "hdf5", "dicom"])
def test_provenance_age_and_sex_are_kept(format: str, tmp_path: Path) -> None:
    record = page_record()
    found = read_record(write_record(record, tmp_path / "page", format)[0])
    assert found.provenance == record.provenance
    assert (found.age, found.sex) == (61.0, "F")


@pytest.mark.parametrize("name", ["x.hea", "x.h5", "x.csv", "x.edf", "x.dcm"])
def test_the_suffix_is_the_format_where_none_is_said(name: str, tmp_path: Path) -> None:
    assert write_record(page_record(), tmp_path / name)[0] == tmp_path / name
    assert read_record(tmp_path / name).n_samples == page_record().n_samples


def test_hdf5_keeps_confidence(tmp_path: Path) -> None:
    record = page_record()
    found = read_record(write_record(record, tmp_path / "page.h5", "hdf5")[0])
    assert np.allclose(found.confidence, record.confidence)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    signal=hnp.arrays(
        np.float64,
        st.tuples(st.integers(3, 40), st.just(12)),
        elements=st.one_of(st.floats(-300, 300, width=32), st.just(np.nan)),
    ),
    fs=st.sampled_from([100.0, 128.0, 250.0, 257.5, 360.0, 500.0, 977.0, 1000.0]),
    format=st.sampled_from(FORMATS),
)
def test_any_record_round_trips(signal: np.ndarray, fs: float, format: str, tmp_path: Path) -> None:
    found = read_record(write_record(ECGRecord(signal, fs), tmp_path / "any", format)[0])
    assert found.fs == pytest.approx(fs, rel=1e-6)
    assert np.array_equal(np.isnan(found.p_signal), np.isnan(signal))
    peak = np.nanmax(np.abs(signal), initial=0.0)
    step = 10 if peak > 32.767 else 1  # an offset beyond int16 coarsens the count tenfold
    bound = HALF_STEP_MV[format] * (step if format in ("wfdb", "edf", "dicom") else 1) * 1.05
    error = np.nanmax(np.abs(found.p_signal - signal), initial=0.0)
    assert error < max(bound, peak * 1e-6)


# Independent readers


def test_wfdb_reads_it(tmp_path: Path) -> None:
    import wfdb

    record = page_record()
    write_record(record, tmp_path / "page", "wfdb")
    found = wfdb.rdrecord(str(tmp_path / "page"))
    assert (found.fs, found.sig_name, found.units) == (500, list(LEADS), ["mV"] * 12)
    assert np.allclose(found.p_signal, record.p_signal, atol=5.1e-4, equal_nan=True)
    counts = wfdb.rdrecord(str(tmp_path / "page"), physical=False)
    assert counts.adc_gain == [1000.0] * 12
    assert counts.baseline == [0] * 12
    assert [c % 65536 for c in counts.checksum] == counts.calc_checksum()
    assert counts.d_signal[0].tolist() == counts.init_value


def test_pydicom_reads_it(tmp_path: Path) -> None:
    import pydicom

    record = page_record()
    (path,) = write_record(record, tmp_path / "page", "dicom")
    found = pydicom.dcmread(path)
    assert found.SOPClassUID.name == "12-lead ECG Waveform Storage"
    group = found.WaveformSequence[0]
    leads = [c.ChannelSourceSequence[0].CodeMeaning for c in group.ChannelDefinitionSequence]
    assert leads == [f"Lead {lead}" for lead in LEADS]
    microvolts = found.waveform_array(0)
    shown = np.isfinite(record.p_signal)
    assert np.allclose(microvolts[shown] / 1000, record.p_signal[shown], atol=5.1e-4)
    assert str(found.PatientName) == ""


def test_edfio_reads_it(tmp_path: Path) -> None:
    import edfio

    record = page_record(n=4321)
    (path,) = write_record(record, tmp_path / "page", "edf")
    found = edfio.read_edf(path)
    assert [signal.label for signal in found.signals] == list(LEADS)
    for index, signal in enumerate(found.signals):
        assert (signal.physical_dimension, signal.sampling_frequency) == ("mV", 500)
        expected = np.nan_to_num(record.p_signal[:, index])
        assert np.allclose(signal.data[:4321], expected, atol=5.2e-4)
    assert sum("not shown: V1" in a.text for a in found.annotations) == 2
    assert read_record(path).n_samples == 4321


def test_csv_and_hdf5_are_read_by_plain_tools(tmp_path: Path) -> None:
    import pandas

    record = page_record()
    (path,) = write_record(record, tmp_path / "page", "csv")
    table = pandas.read_csv(path)
    assert list(table)[:3] == ["time_s", "I_mV", "II_mV"]
    assert np.allclose(table.iloc[:, 1:], record.p_signal, atol=5.1e-5, equal_nan=True)
    assert table["time_s"].iloc[-1] == pytest.approx(9.998)
    (path,) = write_record(record, tmp_path / "page", "hdf5")
    with h5py.File(path) as file:
        assert np.allclose(file["p_signal"], record.p_signal, atol=1e-6, equal_nan=True)


# Other programs' files


@pytest.mark.parametrize(
    ("name", "lead"),
    [
        ("MDC_ECG_LEAD_AVR", ("aVR", 1.0)),
        ("ECG II", ("II", 1.0)),
        ("EKG_V3", ("V3", 1.0)),
        ("Lead I", ("I", 1.0)),
        ("-aVR", ("aVR", -1.0)),
        ("avl", ("aVL", 1.0)),
        ("MLII", ("II", 1.0)),
        ("C4", ("V4", 1.0)),
        ("DIII", ("III", 1.0)),
        (" V6 ", ("V6", 1.0)),
        ("Resp", None),
        ("V7", None),
        ("", None),
    ],
)
def test_names_of_leads(name: str, lead: tuple[str, float] | None) -> None:
    assert lead_of(name) == lead


def test_wfdb_of_another_program(tmp_path: Path) -> None:
    import wfdb

    signal = np.random.default_rng(0).normal(0, 500, (800, 3))
    wfdb.wrsamp(
        "other",
        fs=360,
        units=["uV", "uV", "mmHg"],
        sig_name=["MLII", "v5", "ABP"],
        p_signal=signal,
        fmt=["212"] * 3,
        write_dir=str(tmp_path),
        comments=["Age: 71", "Sex: M"],
    )
    found = read_record(tmp_path / "other")
    assert (found.fs, found.age, found.sex) == (360.0, 71.0, "M")
    assert np.allclose(found.lead("II") * 1000, signal[:, 0], atol=2)
    assert np.allclose(found.lead("V5") * 1000, signal[:, 1], atol=2)
    assert np.isnan(found.lead("I")).all()
    assert any("modified" in note for note in found.provenance.inferred)


def test_edf_of_another_program(tmp_path: Path) -> None:
    import edfio

    ecg = np.sin(np.arange(2000) / 30)
    signals = [
        edfio.EdfSignal(ecg * 1000, 250, label="ECG I", physical_dimension="uV"),
        edfio.EdfSignal(ecg * 2000, 250, label="ECG V2", physical_dimension="uV"),
        edfio.EdfSignal(np.arange(200.0), 25, label="Resp", physical_dimension="ohm"),
    ]
    edfio.Edf(signals, patient=edfio.Patient(sex="M")).write(tmp_path / "other.edf")
    found = read_record(tmp_path / "other.edf")
    assert (found.fs, found.sex, found.provenance.kind) == (250.0, "M", "digital")
    assert np.allclose(found.lead("V2"), 2 * ecg, atol=1e-3)


def test_hdf5_collections(tmp_path: Path) -> None:
    counts = np.arange(12 * 100, dtype=np.int16).reshape(12, 100)
    with h5py.File(tmp_path / "many.h5", "w") as file:
        file.attrs["millivolts_per_count"] = 0.005
        for key in ("a", "b"):
            file.create_dataset(key, data=counts).attrs["fs"] = 400
    with pytest.raises(UnreadableInputError, match="2 recordings"):
        read_record(tmp_path / "many.h5")
    found = read_record(tmp_path / "many.h5", name="b")
    assert found.fs == 400
    assert np.allclose(found.p_signal, counts.T * 0.005)
    assert any("conventional order" in note for note in found.provenance.inferred)
    with h5py.File(tmp_path / "leads.h5", "w") as file:
        file["ecg/I"] = np.arange(50) * 1e-3
        file["ecg/V1"] = np.arange(50) * 2e-3
    with pytest.raises(UnreadableInputError, match="sampling rate"):
        read_record(tmp_path / "leads.h5")
    assert read_record(tmp_path / "leads.h5", fs=100).lead("V1")[10] == pytest.approx(0.02)


@pytest.mark.parametrize(
    "text",
    [
        "time,I,V1\n0,0.1,0.2\n0.002,0.3,\n0.004,0.5,0.6\n",
        "t (ms);I (uV);V1 (uV)\n0;100;200\n2;300;NaN\n4;500;600\n",
        "# a comment\ntime_s\tI [mV]\tV1 [mV]\n0\t0,1\t0,2\n0,002\t0,3\t\n0,004\t0,5\t0,6\n",
        "'Elapsed time','I','V1'\n'seconds','mV','mV'\n0,0.1,0.2\n0.002,0.3,-\n0.004,0.5,0.6\n",
        "﻿time_s,V1_mV,note,I_mV\n0,0.2,x,0.1\n0.002,,y,0.3\n0.004,0.6,z,0.5\n",
    ],
    ids=["plain", "semicolon-ms-uv", "decimal-comma", "rdsamp", "bom-and-text"],
)
def test_csv_dialects(text: str, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text, encoding="utf-8")
    assert is_record_file(path)
    found = read_record(path)
    assert found.fs == 500
    assert np.allclose(found.lead("I"), [0.1, 0.3, 0.5])
    assert np.allclose(found.lead("V1"), [0.2, np.nan, 0.6], equal_nan=True)


def test_csv_without_time_needs_a_rate(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("I,II\n" + "120,-80\n900,30\n" * 5)
    with pytest.raises(UnreadableInputError, match="sampling rate"):
        read_record(path)
    found = read_record(path, fs=250)
    assert found.lead("I")[0] == pytest.approx(0.12)
    assert any("microvolts" in note for note in found.provenance.inferred)


# Bad files


@pytest.mark.parametrize("format", FORMATS)
def test_damage_never_escapes_untyped(format: str, tmp_path: Path) -> None:
    files = write_record(page_record(n=400), tmp_path / "page", format)
    rng = np.random.default_rng(7)
    originals = {path: path.read_bytes() for path in files}
    for trial in range(120):
        path = files[trial % len(files)]
        data = bytearray(originals[path])
        if trial % 3 == 0:
            data = data[: rng.integers(len(data))]
        for _ in range(rng.integers(1, 6)):
            if data:
                data[rng.integers(len(data)) % 3000 % len(data)] = rng.integers(256)
        path.write_bytes(data)
        with contextlib.suppress(ECG4UError):
            assert read_record(files[0]).p_signal.shape[1] == 12
        path.write_bytes(originals[path])


def header(first_line: str, *lines: str) -> str:
    return "\n".join([first_line, *lines]) + "\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (header("x 1 500 100", "../secret.dat 16 1000 16 0 0 0 0 I"), "damaged"),
        (header("x 1 500 100", "https://example.org/a.dat 16 1000 16 0 0 0 0 I"), "damaged"),
        (header("x 1 500 100000000000", "x.dat 16 1000 16 0 0 0 0 I"), "than can be read"),
        (header("x 1000000000 500 100", "x.dat 16 1000 16 0 0 0 0 I"), "wrong number of signals"),
        (header("x 1 500 100", "missing.dat 16 1000 16 0 0 0 0 I"), "does not exist"),
        (header("x/2 1 500 100", "a 50", "b 50"), "Multi-segment"),
    ],
)
def test_wfdb_headers_that_ask_too_much(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.hea").write_text(text)
    (tmp_path / "x.dat").write_bytes(bytes(200))
    with pytest.raises(UnreadableInputError, match=message):
        read_record(tmp_path / "x.hea")


def test_hdf5_that_asks_too_much(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "bomb.h5", "w") as file:
        data = file.create_dataset("ecg", (12, 10**10), "i2", chunks=(12, 1000))
        data.attrs["fs"] = 500
    with pytest.raises(UnreadableInputError, match="more than can be read"):
        read_record(tmp_path / "bomb.h5")
    write_record(page_record(), tmp_path / "good.h5", "hdf5")
    with h5py.File(tmp_path / "link.h5", "w") as file:
        file["ecg"] = h5py.ExternalLink("good.h5", "p_signal")
    with pytest.raises(UnreadableInputError, match="0 recordings"):
        read_record(tmp_path / "link.h5")


def test_not_a_record(tmp_path: Path) -> None:
    (tmp_path / "empty.hea").touch()
    (tmp_path / "text.txt").write_text("Dear colleague,\nthank you\n")
    (tmp_path / "folder.csv").mkdir()
    for name in ("empty.hea", "text.txt", "folder.csv", "missing.edf"):
        assert not is_record_file(tmp_path / name)
        with pytest.raises(UnreadableInputError):
            read_record(tmp_path / name)
    (tmp_path / "blood.csv").write_text("time,I\n")
    with pytest.raises(UnreadableInputError):
        read_record(tmp_path / "blood.csv")
    with h5py.File(tmp_path / "resp.h5", "w") as file:
        file.create_dataset("x", data=np.zeros((100, 1))).attrs["fs"] = 10
        file["x"].attrs["sig_name"] = ["Resp"]
    with pytest.raises(NotAnECGError):
        read_record(tmp_path / "resp.h5")


def test_an_image_is_no_record(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (9, 9)).save(tmp_path / "page.png")
    assert not is_record_file(tmp_path / "page.png")


# Writing


def test_wfdb_name_is_made_valid(tmp_path: Path) -> None:
    header_path, data_path = write_record(page_record(), tmp_path / "Größe 1.2 (Kopie)", "wfdb")
    assert header_path.name == "Groe_1_2_Kopie.hea"
    assert data_path.exists()
    assert read_record(header_path).n_samples == 5000


@pytest.mark.parametrize("format", FORMATS)
def test_a_failed_write_leaves_the_old_file(
    format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first, *_) = write_record(page_record(), tmp_path / "page", format)
    before = first.read_bytes()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ecg4u.io.atomic.os.fsync", full)
    with pytest.raises(OutputError, match="No space left") as caught:
        write_record(page_record(n=300), tmp_path / "page", format)
    assert "page" not in str(caught.value)
    assert first.read_bytes() == before
    assert not list(tmp_path.glob(".ecg4u-*"))


def test_folder_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        write_record(page_record(), tmp_path / "file" / "page", "csv")
    with pytest.raises(UsageError):
        write_record(page_record(), tmp_path / "page", "xml")


def test_edf_refuses_a_rate_it_cannot_hold(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="sampling rate"):
        write_record(ECGRecord(np.zeros((10, 12)), 499.98765), tmp_path / "x", "edf")


def test_provenance_is_plain_json(tmp_path: Path) -> None:
    details = {"gain": np.float32(10.0), "box": np.arange(3), "path": Path("x")}
    record = ECGRecord(np.zeros((10, 12)), provenance=Provenance("array", details=details))
    header_path, _ = write_record(record, tmp_path / "x", "wfdb")
    line = next(x for x in header_path.read_text().splitlines() if "ecg4u: " in x)
    assert json.loads(line.split("ecg4u: ")[1])["details"]["box"] == [0, 1, 2]
