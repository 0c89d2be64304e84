"""``ecg4u batch`` at the terminal: exit codes, what goes where, nothing on stdout."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner, Result

from ecg4u.batch import sheet
from ecg4u.batch.command import batch, complete, ended_by_sigterm
from ecg4u.batch.options import Options
from ecg4u.errors import BatchFailuresError, UsageError
from ecg4u.io import read_record, write_record
from ecg4u.record import ECGRecord


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    for number in range(4):
        signal = np.random.default_rng(number).normal(0, 0.2, (500, 12))
        write_record(ECGRecord(signal), tmp_path / "in" / f"DOE_JANE_{number}", "wfdb")
    (tmp_path / "in" / "DOE_JANE_x.png").write_bytes(b"no image")
    return tmp_path / "in"


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(batch, [str(argument) for argument in arguments])


def test_failures_have_their_exit_code(archive: Path, tmp_path: Path) -> None:
    result = invoke(archive, "-o", tmp_path / "out", "-j", "0", "--format", "csv")
    assert isinstance(result.exception, BatchFailuresError)
    assert result.exception.exit_code == 7
    assert result.stdout == ""
    assert "1 of 5 inputs" in str(result.exception)
    assert "in/DOE_JANE_x.png: The file is not an image" in result.stderr
    assert len(list((tmp_path / "out").rglob("signals.csv"))) == 4


def test_resume_and_status(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert isinstance(invoke(archive, "-o", out, "-j", "0").exception, BatchFailuresError)
    assert isinstance(invoke(archive, "-o", out, "-j", "0").exception, UsageError)
    (archive / "DOE_JANE_x.png").unlink()
    result = invoke(archive, "-o", out, "-j", "0", "--resume", "--quiet")
    assert (result.exit_code, result.output) == (0, "")
    numbers = json.loads(invoke("--status", out, "--json").stdout)
    assert numbers == {"done": 4, "refused": 1, "failed": 0}
    told = invoke(archive, "-o", out, "-j", "0", "--resume").stderr
    assert "Nothing left to do." in told
    assert "of 0" not in told
    again = invoke(archive, "-o", out, "-j", "0", "--resume", "--quiet", "--json")
    assert json.loads(again.stdout)["earlier"] == 4
    status = invoke("--status", out)
    assert status.stdout.split()[:6] == ["done", "4", "refused", "1", "failed", "0"]
    assert isinstance(invoke("--status", tmp_path).exception, UsageError)


def test_a_run_is_resumed_with_other_options_only_once_it_is_told_which(
    archive: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    invoke(archive, "-o", out, "-j", "0", "--format", "csv", "--fhir", "--keep-sidecars")
    error = invoke(archive, "-o", out, "-j", "0", "--resume").exception
    assert isinstance(error, UsageError)
    assert "(--format csv --classify --explain --keep-sidecars --fhir)" in error.hint


def test_a_ledger_with_lines_of_another_shape_is_gone_on_with(
    archive: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    invoke(archive, "-o", out, "-j", "0")
    with open(out / "ledger.jsonl", "a", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in ('{"type": "entry"}', "[]", "5", '{"key": [1]}'))
    result = invoke(archive, "-o", out, "-j", "0", "--resume", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["earlier"] == 5
    numbers = json.loads(invoke("--status", out, "--json").stdout)
    assert numbers == {"done": 4, "refused": 1, "failed": 0}


def test_each_input_is_told_where_it_is_asked_for(archive: Path, tmp_path: Path) -> None:
    result = invoke(archive, "-o", tmp_path / "out", "-j", "0", "--verbose")
    assert "done in/DOE_JANE_2.hea (" in result.stderr
    assert result.stdout == ""


def test_deidentified_output_holds_no_name(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = invoke(archive, "-o", out, "-j", "0", "--deidentify", "--format", "dicom")
    assert "DOE" not in result.output + str(result.exception)
    for path in out.rglob("*"):
        assert "DOE" not in str(path.relative_to(out))
        if path.is_file():
            assert b"DOE" not in path.read_bytes()


def test_all_records_in_one_file(archive: Path, tmp_path: Path) -> None:
    out, path = tmp_path / "out", tmp_path / "all.h5"
    invoke(archive, "-o", out, "-j", "0", "--format", "edf")
    result = invoke("--status", out, "--collect", path)
    assert result.stdout.splitlines()[-1].split() == ["collected", "4"]
    with h5py.File(path) as file:
        names = list(file)
        assert len(names) == 4
    for name in names:
        number = int(name.split("-")[0][-1])
        expected = np.random.default_rng(number).normal(0, 0.2, (500, 12))
        assert np.allclose(read_record(path, name=name).p_signal, expected, atol=1.1e-3)
    first = path.read_bytes()
    invoke("--status", out, "--collect", path)
    assert path.read_bytes() == first


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/0", "-1/2"])
def test_impossible_shards(archive: Path, tmp_path: Path, text: str) -> None:
    result = invoke(archive, "-o", tmp_path / "out", "-j", "0", "--shard", text)
    assert isinstance(result.exception, UsageError)
    assert "--shard must be I/N" in result.exception.message


def test_a_shard_does_its_part_alone(archive: Path, tmp_path: Path) -> None:
    done = []
    for part in ("1/2", "2/2"):
        out = tmp_path / part.replace("/", "-")
        invoke(archive, "-o", out, "-j", "0", "--shard", part, "--resume")
        done.append({path.parent.name for path in out.rglob("signals.hea")})
    assert len(done[0] | done[1]) == 4
    assert not done[0] & done[1]


def test_exports_and_explain_imply_what_they_rest_on() -> None:
    assert complete(Options(exports=("pdf",))) == Options(
        classify=True, explain=True, exports=("pdf",)
    )
    assert complete(Options(explain=True)).classify
    assert complete(Options(thumbnails=True)).classify  # who needs a look depends on the findings
    assert complete(Options(classify=True)) == Options(classify=True)
    with pytest.raises(UsageError, match="contact sheet"):
        complete(Options(thumbnails=True, deidentify=True))


def test_usage() -> None:
    assert isinstance(invoke("somewhere").exception, UsageError)
    assert invoke("x", "-o", "y", "--format", "xml").exit_code == 2


def test_a_contact_sheet_is_ended_as_the_run_is(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unheeded: list[int]
) -> None:
    """What was done before is kept: --resume only makes the sheet."""
    out = tmp_path / "out"

    def ended(_: Path) -> Path:
        signal.raise_signal(signal.SIGTERM)
        return out / "never"

    with monkeypatch.context() as patched:
        patched.setattr(sheet, "write_sheet", ended)
        result = invoke(archive, "-o", out, "-j", "0", "--sheet")
    assert (result.exit_code, unheeded) == (1, [])
    assert "Aborted!" in result.stderr
    again = invoke(archive, "-o", out, "-j", "0", "--sheet", "--resume", "--json")
    assert json.loads(again.stdout)["earlier"] == 5
    assert (out / "contact-sheet.html").exists()


def test_sigterm_means_afterwards_what_it_meant_before(unheeded: list[int]) -> None:
    with pytest.raises(KeyboardInterrupt), ended_by_sigterm():
        signal.raise_signal(signal.SIGTERM)
    assert unheeded == []
    signal.raise_signal(signal.SIGTERM)
    assert unheeded == [signal.SIGTERM]


def test_a_handler_that_python_did_not_set_gives_way_to_the_default(
    monkeypatch: pytest.MonkeyPatch, unheeded: list[int]
) -> None:
    """Such a handler is None to Python, which cannot set it again."""
    really_set = signal.signal

    def told_of_none(number: int, handler: signal.Handlers) -> None:
        really_set(number, handler)

    with monkeypatch.context() as patched:
        patched.setattr(signal, "signal", told_of_none)
        with ended_by_sigterm():
            pass
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_an_ended_run_can_be_resumed(archive: Path, tmp_path: Path) -> None:
    """SIGTERM amid a run, long enough not to be over first: exit 130, --resume completes it."""
    out = tmp_path / "out"
    record = read_record(archive / "DOE_JANE_0.hea")
    for number in range(4, 300):
        write_record(record, archive / f"DOE_JANE_{number}", "wfdb")
    command = [sys.executable, "-m", "ecg4u.cli", "batch", str(archive), "-o", str(out), "-q"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([*command, "-j", "1"], env=environment, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while not (out / "ledger.jsonl").exists() and time.monotonic() < end:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 130
    resumed = invoke(archive, "-o", out, "-j", "0", "--resume")
    assert isinstance(resumed.exception, BatchFailuresError)
    assert len(list(out.rglob("signals.hea"))) == 300
