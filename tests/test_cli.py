"""The installed command, as a user calls it."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import wfdb
from click.testing import CliRunner
from PIL import Image

from ecg4u import analysis
from ecg4u.analysis import read
from ecg4u.cli import COMMANDS, INTERRUPTED, cli, exit_code, main
from ecg4u.errors import UnreadableInputError
from ecg4u.io.own import is_own_output
from ecg4u.model.classifier import WEIGHTS
from ecg4u.options import ReadOptions

DATA = Path(__file__).parents[1] / "data"
PAGE = DATA / "pages" / "A00347.png"
RECORD = DATA / "records" / "ptbxl_00427"


def _ecg4u(*args: str | Path) -> subprocess.CompletedProcess[str]:
    command = Path(sys.executable).with_name("ecg4u")
    return subprocess.run(
        [str(command), *map(str, args)], capture_output=True, text=True, check=False
    )


def test_report_leaves_signals_result_and_page(tmp_path: Path) -> None:
    done = _ecg4u("report", PAGE, "-o", tmp_path, "--format", "wfdb", "--format", "csv")
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["schema"] == "ecg4u.result/1"
    assert len(result["classification"]["classes"]) == 9
    assert result["explanation"]["reading"]
    assert result["digitization"]["calibration"]["gain_from"] == "pulse"
    html = (tmp_path / "report.html").read_text()
    assert "not a medical device" in html.lower()
    record = wfdb.rdrecord(str(tmp_path / "signals"))
    assert record.fs == 500
    assert record.sig_name[0] == "I"
    assert (tmp_path / "signals.csv").stat().st_size > 1000


def test_digitize_prints_json_and_draws_the_overlay(tmp_path: Path) -> None:
    done = _ecg4u("digitize", PAGE, "-o", tmp_path / "x", "--overlay", tmp_path / "o.png", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["digitization"]["layout"]["name"] == "3x4+1"
    assert (tmp_path / "o.png").read_bytes().startswith(b"\x89PNG")


def test_a_page_is_corrected_through_its_sidecar(tmp_path: Path) -> None:
    first = _ecg4u("digitize", PAGE, "-o", tmp_path / "a")
    assert first.returncode == 0, first.stderr
    assert "V1    good" in first.stderr
    sidecar = tmp_path / "a.page.json"
    same = _ecg4u("digitize", PAGE, "--sidecar", sidecar, "-o", tmp_path / "b")
    assert same.returncode == 0, same.stderr
    for suffix in (".dat", ".page.json"):
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()
    values = json.loads(sidecar.read_text())
    values["calibration"]["gain_mm_per_mv"] = 5
    sidecar.write_text(json.dumps(values))
    done = _ecg4u("digitize", PAGE, "--sidecar", sidecar, "-o", tmp_path / "c", "--json")
    assert "Corrected by hand: gain 5 mm/mV (found: 10)." in done.stderr
    assert json.loads(done.stdout)["digitization"]["corrections"]
    values["calibration"]["gain_mm_per_mv"] = -5
    sidecar.write_text(json.dumps(values))
    broken = _ecg4u("classify", PAGE, "--sidecar", sidecar)
    assert broken.returncode == 3
    assert broken.stderr.startswith("error: In the sidecar, calibration.gain_mm_per_mv")


def test_corrections_are_not_overwritten_unasked(tmp_path: Path) -> None:
    path = tmp_path / "a.page.json"
    path.write_text("{ half edited")
    done = _ecg4u("digitize", PAGE, "-o", tmp_path / "a")
    assert done.returncode == 0
    assert "was kept" in done.stderr
    assert path.read_text() == "{ half edited"


@pytest.mark.parametrize("verb", ["classify", "explain"])
def test_classify_and_explain_take_a_record_file(verb: str) -> None:
    done = _ecg4u(verb, RECORD.with_suffix(".hea"))
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) > 5


def test_classify_measures_and_attributes_nothing() -> None:
    done = _ecg4u("classify", RECORD.with_suffix(".hea"), "--json")
    why = json.loads(done.stdout)["explanation"]
    assert why["features"]["global"]
    assert why["attributions"] == []


def test_report_names_the_files_that_it_wrote(tmp_path: Path) -> None:
    done = _ecg4u("report", RECORD.with_suffix(".hea"), "-o", tmp_path, "--format", "wfdb")
    named = [Path(line) for line in done.stderr.splitlines() if line.startswith(str(tmp_path))]
    assert sorted(named) == sorted(tmp_path.iterdir())


def test_info_names_the_weights() -> None:
    done = _ecg4u("info", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["classifier"].startswith("ecg4u-classifier")
    assert len(_ecg4u("info").stdout) < 1000


@pytest.mark.parametrize(
    ("content", "code"), [(None, 3), (b"", 3), (b"\x89PNG\r\n\x1a\n half", 3), (b"hello", 3)]
)
def test_bad_input_is_one_line_a_remedy_and_its_code(
    tmp_path: Path, content: bytes | None, code: int
) -> None:
    path = tmp_path / "page.png"
    if content is not None:
        path.write_bytes(content)
    done = _ecg4u("report", path, "-o", tmp_path / "out")
    assert done.returncode == code
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 2


def test_an_interrupt_while_an_error_is_said_is_one_as_well(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("ecg4u.cli.say_error", interrupted)
    with pytest.raises(SystemExit) as ended:
        main(["batch", str(tmp_path / "missing"), "-o", str(tmp_path / "out")])
    assert ended.value.code == INTERRUPTED


def test_wrong_usage_is_two() -> None:
    assert _ecg4u("report").returncode == 2
    assert _ecg4u("nonsense").returncode == 2


def test_help_lists_every_command() -> None:
    done = _ecg4u("--help")
    for verb in COMMANDS:
        assert verb in done.stdout


def test_a_record_is_never_written_over_itself(tmp_path: Path) -> None:
    for suffix in (".hea", ".dat"):
        shutil.copy(RECORD.with_suffix(suffix), tmp_path)
    source = (tmp_path / RECORD.name).with_suffix(".hea")
    before = source.read_bytes()
    for options in ([], ["-o", tmp_path / RECORD.name], ["-o", tmp_path]):
        done = _ecg4u("digitize", source, *options)
        assert done.returncode == 2
        assert "would be overwritten" in done.stderr
    assert source.read_bytes() == before
    (tmp_path / "out").mkdir()
    assert _ecg4u("digitize", source, "-o", tmp_path / "out").returncode == 0
    assert (tmp_path / "out" / source.name).exists()


def test_the_recording_beside_a_photograph_is_not_overwritten_unasked(tmp_path: Path) -> None:
    shutil.copy(PAGE, tmp_path / "p.png")
    recording = tmp_path / "p.csv"
    recording.write_text("the true recording")
    assert _ecg4u("digitize", tmp_path / "p.png", "--format", "csv").returncode == 2
    assert recording.read_text() == "the true recording"
    for _ in range(2):
        assert _ecg4u("digitize", tmp_path / "p.png").returncode == 0


def test_other_pages_of_the_file_are_not_passed_over_in_silence(tmp_path: Path) -> None:
    page = Image.open(PAGE).convert("RGB").resize((1100, 850))
    page.save(tmp_path / "two.tif", save_all=True, append_images=[page])
    done = _ecg4u("digitize", tmp_path / "two.tif")
    assert done.stderr.startswith("page 1 of 2: --page selects another")
    _ecg4u("digitize", tmp_path / "two.tif", "--page", "2")
    assert {path.name for path in tmp_path.glob("*.hea")} == {"two.hea", "two-2.hea"}


@pytest.mark.parametrize("command", ["digitize", "report"])
def test_two_inputs_of_one_name_do_not_overwrite_each_other(command: str, tmp_path: Path) -> None:
    done = _ecg4u(command, tmp_path / "a" / "x.png", tmp_path / "b" / "x.jpg", "-o", f"{tmp_path}/")
    assert done.returncode == 2
    assert "Two inputs are called x" in done.stderr


@pytest.mark.parametrize(
    "call",
    [
        "draw x.csv -o x.csv",
        "draw signals.hea -o signals.dat",
        "report signals.hea -o .",
        "report signals.csv -o . --format csv",
        "report report.pdf -o . --pdf",
        "digitize page.png --overlay page.png",
        "compare x.csv signals.hea --overlay ./x.csv",
    ],
)
def test_no_input_is_overwritten(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("x.csv", "signals.hea", "signals.dat", "signals.csv", "report.pdf", "page.png"):
        Path(name).write_bytes(b"as it was")
    assert exit_code(lambda: cli.main(call.split(), standalone_mode=False)) == 2
    assert "would be overwritten" in capsys.readouterr().err
    assert {path.read_bytes() for path in tmp_path.iterdir()} == {b"as it was"}


@pytest.mark.parametrize(
    "call",
    [("info", "x" * 5000), ("batch", "--status", "x" * 5000), ("compare", "x" * 5000, "x" * 5000)],
    ids=lambda call: call[0],
)
def test_a_path_that_the_system_refuses(
    call: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(lambda: cli.main(list(call), standalone_mode=False)) == 3
    assert "too long" in capsys.readouterr().err


def test_the_name_of_a_file_moves_no_cursor(tmp_path: Path) -> None:
    done = _ecg4u("classify", tmp_path / "\x1bc.png", tmp_path / "b.png")
    assert done.returncode == 7
    assert "error: ?c.png: The file does not exist" in done.stderr


def test_a_port_in_use_is_said_with_a_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = _ecg4u("serve", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 2
    assert "Cannot listen on" in done.stderr
    assert "http://" not in done.stderr


def test_beyond_this_machine_is_listened_on_only_with_a_token_or_when_told() -> None:
    with socket.create_server(("", 0)) as taken:
        beyond = ("serve", "--host", "0.0.0.0", "--port", str(taken.getsockname()[1]))
        refused = _ecg4u(*beyond)
        told = [_ecg4u(*beyond, *more) for more in (("--insecure",), ("--token", "x" * 32))]
    assert "Set a token" in refused.stderr
    for done in told:  # it came as far as the port, which is in use
        assert "Cannot listen on" in done.stderr


def test_several_inputs_are_answered_one_by_one_and_a_bad_one_harms_no_other(
    tmp_path: Path,
) -> None:
    (tmp_path / "bad.png").write_bytes(b"")
    done = _ecg4u("classify", RECORD.with_suffix(".hea"), tmp_path / "bad.png", "--json")
    assert done.returncode == 7
    assert len(done.stdout.splitlines()) == 1
    assert json.loads(done.stdout)["summary"]
    assert json.loads(done.stdout)["input"] == f"{RECORD}.hea"
    assert "error: bad.png: " in done.stderr


def test_what_is_said_about_one_of_several_inputs_names_it(tmp_path: Path) -> None:
    photo = PAGE.with_name("phone.jpg")
    done = _ecg4u("report", photo, RECORD.with_suffix(".hea"), "-o", tmp_path)
    warnings = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
    assert len(warnings) > 1
    assert all(line.startswith("warning: phone.jpg: ") for line in warnings)
    headings = [line for line in done.stdout.splitlines() if line.startswith("== ")]
    assert headings == ["== phone.jpg", f"== {RECORD.name}.hea"]
    read = _ecg4u("digitize", photo, RECORD.with_suffix(".hea"), "-o", f"{tmp_path}/")
    assert "\nphone.jpg: page: fair" in read.stderr


def test_signals_go_into_a_folder_that_does_not_exist_yet_in_each_format(tmp_path: Path) -> None:
    done = _ecg4u(
        "digitize", RECORD.with_suffix(".hea"), "-o", f"{tmp_path}/new/", "--format", "csv",
        "--format", "hdf5",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "new").iterdir()} == {
        f"{RECORD.name}.csv",
        f"{RECORD.name}.h5",
    }


def test_a_drawn_page_read_again_matches_its_record(tmp_path: Path) -> None:
    page = tmp_path / "page.png"
    assert _ecg4u("draw", RECORD.with_suffix(".hea"), "-o", page).returncode == 0
    overlay = tmp_path / "overlay.png"
    done = _ecg4u("digitize", page, "-o", tmp_path / "read", "--overlay", overlay)
    assert done.returncode == 0, done.stderr
    scores = _ecg4u("compare", RECORD.with_suffix(".hea"), tmp_path / "read.hea", "--json")
    assert scores.returncode == 0, scores.stderr
    snr_db = sorted(lead["snr_db"] for lead in json.loads(scores.stdout).values())
    assert len(snr_db) == 12
    assert snr_db[2] > 15  # V1 and V2 cross tall waves of other rows on this page
    assert is_own_output(overlay)
    assert not is_own_output(page)
    (tmp_path / "page.page.json").write_text("{}")
    assert not is_own_output(page)


def test_patterns_and_several_inputs_are_a_line_each(tmp_path: Path) -> None:
    records = DATA / "records" / "ptbxl_0*.hea"
    expected = sorted(path.stem for path in records.parent.glob(records.name))
    drawn = _ecg4u("draw", records, "-o", f"{tmp_path}/", "--dpi", "100", "--json")
    lines = [json.loads(line) for line in drawn.stdout.splitlines()]
    assert [Path(line["written"]).stem for line in lines] == expected
    assert all(Path(line["written"]).exists() for line in lines)
    held = _ecg4u("info", records, tmp_path / f"{expected[0]}.png", "--json")
    kinds = [json.loads(line)["kind"] for line in held.stdout.splitlines()]
    assert kinds == ["record"] * len(expected) + ["page"]
    scores = _ecg4u("compare", RECORD.with_suffix(".hea"), records, "--json")
    snr_db = {
        Path(line["input"]).stem: line["II"]["snr_db"]
        for line in map(json.loads, scores.stdout.splitlines())
    }
    assert set(snr_db) == set(expected)
    assert max(snr_db, key=snr_db.__getitem__) == RECORD.name


def test_a_picture_is_not_called_what_it_is_not(tmp_path: Path) -> None:
    drawn = _ecg4u("draw", RECORD.with_suffix(".hea"), "-o", tmp_path / "x.jpg")
    overlaid = _ecg4u("digitize", PAGE, "-o", tmp_path / "x", "--overlay", tmp_path / "x.pdf")
    assert drawn.returncode == overlaid.returncode == 2
    assert "PNG" in drawn.stderr
    assert not list(tmp_path.iterdir())


def test_several_records_need_a_folder(tmp_path: Path) -> None:
    two = [DATA / "records" / f"{name}.hea" for name in ("ptbxl_00427", "ptbxl_01416")]
    assert _ecg4u("draw", *two, "-o", tmp_path / "x.png").returncode == 2
    assert _ecg4u("compare", *two, two[0], "--overlay", tmp_path / "x.html").returncode == 2
    assert not list(tmp_path.iterdir())


def test_words_are_on_stderr_alone_more_or_fewer(tmp_path: Path) -> None:
    record = RECORD.with_suffix(".hea")
    out = ("-o", tmp_path / "x", "--format", "csv")
    loud, quiet = (_ecg4u("digitize", record, *out, option) for option in ("-v", "-q"))
    assert loud.stdout == quiet.stdout == f"{tmp_path / 'x.csv'}\n"
    assert quiet.stderr == ""
    assert " s  read" in loud.stderr


def test_no_layout_of_that_name_is_said_with_those_there_are(tmp_path: Path) -> None:
    done = _ecg4u("draw", RECORD.with_suffix(".hea"), "-o", tmp_path / "x.png", "--layout", "9x9")
    assert done.returncode == 2
    assert "3x4+1" in done.stderr


def test_results_of_another_page_of_that_name_are_not_overwritten_unasked(tmp_path: Path) -> None:
    from ecg4u.cli.read import _signal_base
    from ecg4u.errors import UsageError

    for suffix in ("jpg", "png"):
        (tmp_path / f"a.{suffix}").write_bytes(suffix.encode())
    done = _ecg4u("digitize", PAGE, "-o", tmp_path / "a")
    assert done.returncode == 0, done.stderr
    shutil.copy(PAGE, tmp_path / "a.jpg")
    assert _signal_base(tmp_path / "a.jpg", 1, None, ("wfdb",)) == tmp_path / "a"
    with pytest.raises(UsageError, match="would be overwritten"):
        _signal_base(tmp_path / "a.png", 1, None, ("wfdb",))


def _without_reasons(source: Path, options: ReadOptions, **more: Any) -> analysis.Analysis:
    return read(source, replace(options, explain=False), **more)


def test_a_classifier_of_ones_own_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = shutil.copytree(WEIGHTS, tmp_path / "own")
    card = json.loads((own / "classifier.json").read_text())
    card["thresholds"]["AF"] = 0.0
    (own / "classifier.json").write_text(json.dumps(card))
    monkeypatch.setattr(analysis, "read", _without_reasons)
    done = CliRunner().invoke(cli, ["classify", f"{RECORD}.hea", "--weights", str(own), "--json"])
    assert done.exit_code == 0, done.output
    found = {row["name"]: row for row in json.loads(done.stdout)["classification"]["classes"]}
    assert found["AF"]["positive"]


def test_a_training_run_is_no_classifier_yet(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    done = CliRunner().invoke(cli, ["classify", f"{RECORD}.hea", "--weights", str(tmp_path)])
    assert isinstance(done.exception, UnreadableInputError)
    assert "training.export" in (done.exception.hint or "")
