"""What a ledger, a lock and a manifest do with what should not be there."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ecg4u.batch.command import show_failures
from ecg4u.batch.ledger import Entries, Ledger, is_entry
from ecg4u.batch.manifest import rows, typed, write_manifest
from ecg4u.batch.run import status_of
from ecg4u.errors import UsageError

ENTRY: dict[str, Any] = {
    "type": "entry",
    "key": "=cmd|x.png",
    "folder": "records/ab/x-ab12",
    "size": 5,
    "mtime_ns": 7,
    "status": "refused",
    "pages": [{"page": 1, "status": "refused", "message": "-5 is no page", "hint": "@once"}],
}


@pytest.mark.parametrize(
    "change",
    [
        {"folder": "../../home"},
        {"folder": None},
        {"size": "5"},
        {"status": "lost"},
        {"pages": []},
        {"pages": {}},
        {"pages": [{"page": 1, "status": "refused"}] * 10_000},
        {"pages": [{"page": 1}]},
        {"pages": [5]},
        {"pages": [{"page": "1", "status": "refused"}]},
        {"pages": [{"page": 1, "status": "refused", "files": ["x"]}]},
        {"pages": [{"page": 1, "status": "refused", "files": {"../x": ""}}]},
        {"pages": [{"page": 1, "status": "done"}]},
        {"folder": "records/ab/" + "x" * 5000},
        {"message": "\ud800"},
        {"pages": [{"page": 10**300, "status": "refused"}]},
        {"pages": [{"page": 0, "status": "refused"}]},
        {"pages": [{"page": 1, "status": "refused", "files": {"x" * 5000: ""}}]},
    ],
    ids=lambda change: str(change)[:60],
)
def test_lines_of_the_wrong_shape_are_passed_over(change: dict[str, Any], tmp_path: Path) -> None:
    assert is_entry(ENTRY)
    lines = [ENTRY, {**ENTRY, "key": "other", **change}]
    (tmp_path / "ledger.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert list(Entries(tmp_path)) == [ENTRY["key"]]
    assert status_of(tmp_path) == {"done": 0, "refused": 1, "failed": 0}


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), Path.mkdir])
def test_a_ledger_that_is_no_file_is_not_read(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "ledger.jsonl")
    with pytest.raises(UsageError, match="no batch run"):
        status_of(tmp_path)
    with pytest.raises(UsageError, match="not a regular file"):
        Ledger(tmp_path / "ledger.jsonl", {})


def test_what_a_ledger_says_moves_no_cursor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = {**ENTRY["pages"][0], "message": "\x1b[2J"}
    (tmp_path / "ledger.jsonl").write_text(json.dumps({**ENTRY, "pages": [page]}) + "\n")
    show_failures(tmp_path, err=False)
    assert "?[2J" in capsys.readouterr().out


@pytest.mark.parametrize("options", [[], None, "x", {"format": "csv"}, {"format": 1, "exports": 5}])
def test_options_of_the_wrong_shape_are_other_ones(options: Any, tmp_path: Path) -> None:
    (tmp_path / "ledger.jsonl").write_text(json.dumps({"type": "run", "options": options}) + "\n")
    with pytest.raises(UsageError, match="different options"):
        Ledger(tmp_path / "ledger.jsonl", {"format": "wfdb"})


@pytest.mark.parametrize(
    ("column", "value"),
    [("fs", "500"), ("fs", 10**400), ("page", 2**70), ("urgent", 1), ("input", 5), ("p_AF", [])],
)
def test_a_table_takes_only_its_columns_types(column: str, value: Any) -> None:
    assert typed(column, value) is None


def test_a_spreadsheet_runs_nothing(tmp_path: Path) -> None:
    (tmp_path / "ledger.jsonl").write_text(json.dumps(ENTRY) + "\n")
    write_manifest(tmp_path)
    with open(tmp_path / "manifest.csv", newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert (row["input"], row["message"], row["hint"]) == (
        "'=cmd|x.png",
        "'-5 is no page",
        "'@once",
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\n=1", "'\n=1"),
        (" \t@x", "' \t@x"),
        ("a;=1+1.png", "a;'=1+1.png"),
        ("a-b; c", "a-b; c"),
        ("\rx", "'\rx"),
    ],
)
def test_nor_behind_blanks_or_semicolons(text: str, shown: str, tmp_path: Path) -> None:
    (tmp_path / "ledger.jsonl").write_text(json.dumps({**ENTRY, "key": text}) + "\n")
    write_manifest(tmp_path)
    with open(tmp_path / "manifest.csv", newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert row["input"] == shown


def test_a_summary_says_nothing_but_its_columns(tmp_path: Path) -> None:
    summary = {"status": "done", "input": "other", "warning_texts": 5, "fs": "fast"}
    page = {**ENTRY["pages"][0], "summary": summary}
    (tmp_path / "ledger.jsonl").write_text(json.dumps({**ENTRY, "pages": [page]}) + "\n")
    (row,) = rows(Entries(tmp_path))
    assert (row["status"], row["input"]) == ("refused", ENTRY["key"])
    assert row["warning_texts"] is row["fs"] is None


def test_only_shards_of_one_number_share_an_output(tmp_path: Path) -> None:
    def opened(shard: tuple[int, int] | None) -> Ledger:
        name = "ledger.jsonl" if shard is None else f"ledger-{shard[0]}-of-{shard[1]}.jsonl"
        return Ledger(tmp_path / name, {}, shard)

    with opened((1, 2)), opened((2, 2)):
        for other in ((1, 2), (1, 3), (1, 1), None):
            with pytest.raises(UsageError, match="Another run"):
                opened(other)
    with opened(None):
        for other in ((1, 1), (1, 2), None):
            with pytest.raises(UsageError, match="Another run"):
                opened(other)
    opened((1, 3)).close()
