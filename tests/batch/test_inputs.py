"""Which files a batch finds, under which keys."""

from __future__ import annotations

import io
import os
import time
from pathlib import Path

import numpy as np
import pytest
from command import ecg4u

from ecg4u.batch import find_inputs
from ecg4u.batch.collect import collect
from ecg4u.batch.inputs import in_shard, look_through
from ecg4u.errors import UsageError
from ecg4u.io import write_record
from ecg4u.io.own import marked_png
from ecg4u.record import ECGRecord


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    root = tmp_path / "archive"
    for name in ("a/page.png", "b/page.png", "b/scan.TIF", "c/d/e/deep.pdf", "notes.md", ".x.png"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return root


def keys(sources: list[str | Path], out: str | Path = "/nowhere", **options: bool) -> list[str]:
    return [item.key for item in find_inputs([str(s) for s in sources], Path(out), **options)]


ALL = ["archive/a/page.png", "archive/b/page.png", "archive/b/scan.TIF", "archive/c/d/e/deep.pdf"]


def test_a_folder_to_any_depth(archive: Path) -> None:
    assert keys([archive]) == ALL


def test_same_names_get_folders_of_their_own(archive: Path) -> None:
    items = find_inputs([str(archive)], Path("/nowhere"))
    assert len({item.folder for item in items}) == 4
    again = find_inputs([str(archive / ".." / "archive")], Path("/nowhere"))
    assert [item.folder for item in again] == [item.folder for item in items]


def test_folders_of_the_same_name(tmp_path: Path) -> None:
    for side in ("left", "right"):
        (tmp_path / side / "ward").mkdir(parents=True)
        (tmp_path / side / "ward" / "1.png").write_text(side)
    found = keys([tmp_path / "left" / "ward", tmp_path / "right" / "ward"])
    assert found == ["ward/1.png", "ward/1.png~2"]


def test_what_is_named_twice_is_taken_once(archive: Path) -> None:
    (archive / "link.png").symlink_to(archive / "a" / "page.png")
    found = keys([archive, archive / "a" / "page.png", archive / "a"])
    assert len(found) == 4


def test_cycles_of_links_end(archive: Path) -> None:
    (archive / "a" / "up").symlink_to(archive)
    (archive / "self.png").symlink_to(archive / "self.png")
    (archive / "b" / "sideways").symlink_to(archive / "c")
    found = keys([archive])
    assert sorted(os.path.basename(key) for key in found) == [
        "deep.pdf",
        "page.png",
        "page.png",
        "scan.TIF",
        "self.png",
    ]


def test_output_inside_input_is_passed_over(archive: Path) -> None:
    out = archive / "out"
    (out / "records" / "aa").mkdir(parents=True)
    (out / "records" / "aa" / "old.png").touch()
    assert keys([archive], out) == ALL
    with pytest.raises(UsageError, match="input folder"):
        keys([archive], archive)


def test_lists_patterns_and_files(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("list.txt").write_text("# wanted\narchive/a/page.png\n\narchive/missing.png\n")
    assert keys(["list.txt"]) == ["archive/a/page.png", "archive/missing.png"]
    assert keys(["archive/*/page.png"]) == ["archive/a/page.png", "archive/b/page.png"]
    assert keys(["archive/**/*"]) == ALL
    assert keys(["archive/notes.md"]) == ["notes.md"]
    assert keys(["missing.png"]) == ["missing.png"]
    monkeypatch.setattr("sys.stdin", io.StringIO("archive/b/scan.TIF\n"))
    assert keys(["-"]) == ["archive/b/scan.TIF"]
    with pytest.raises(UsageError, match="No page"):
        keys(["archive/*.bmp"])


def test_unicode_long_and_broken_names(tmp_path: Path) -> None:
    names = ["Ünïcødé 心电图.png", "x" * 240 + ".png", "new\nline.png", "=cmd.png"]
    for name in names:
        (tmp_path / name).write_text(name)
    os.close(os.open(os.fsencode(tmp_path) + b"/\xff\xfe.png", os.O_CREAT))
    items = find_inputs([str(tmp_path)], Path("/nowhere"))
    assert len(items) == 5
    for item in items:
        assert item.key.encode()
        assert item.folder.isascii()
        assert len(item.folder) < 90
        assert "\n" not in item.folder
        assert os.path.exists(item.path)


def test_shards_part_the_whole(tmp_path: Path) -> None:
    for number in range(60):
        (tmp_path / f"{number}.png").write_text(str(number))
    items = find_inputs([str(tmp_path)], Path("/nowhere"))
    parts = [[item for item in items if in_shard(item, i, 4)] for i in (1, 2, 3, 4)]
    assert sorted(item.key for part in parts for item in part) == [item.key for item in items]
    assert min(len(part) for part in parts) > 3


def test_names_can_be_kept_out(archive: Path) -> None:
    (archive / "a" / "copy.png").write_bytes((archive / "a" / "page.png").read_bytes())
    (archive / "loop.png").symlink_to(archive / "loop.png")
    items = find_inputs([str(archive)], Path("/nowhere"), deidentify=True)
    assert len(items) == 5
    assert sum(item.key.startswith("sha256:") for item in items) == 4
    for item in items:
        assert not any(word in item.key + item.folder for word in ("page", "scan", "deep", "loop"))


def test_what_ecg4u_left_beside_its_inputs_is_no_input(archive: Path) -> None:
    (archive / "a/page.dat").write_bytes(b"\0" * 24)
    (archive / "a/page.hea").write_text("page 1 500 12\npage.dat 16 1000 16 0 0 0 0 I\n")
    assert keys([archive])[:2] == ["archive/a/page.hea", "archive/a/page.png"]
    (archive / "a/page.page.json").write_text("{}")
    assert keys([archive]) == ALL
    (archive / "c/signals.csv").write_text("I,II\n0.1,0.2\n")
    for name in ("result.json", "report.pdf", "report.dcm"):
        (archive / "c" / name).write_text("")
    (archive / "c/report.html").write_text("")
    (archive / "c/overlay.png").write_bytes(marked_png(b"\x89PNG" + b"\0" * 40))
    assert keys([archive]) == ALL


def test_records_that_were_collected_are_no_input_and_are_counted(archive: Path) -> None:
    collect(archive / "nowhere", archive / "c/all.h5")
    write_record(ECGRecord(np.zeros((500, 12))), archive / "c/one.h5")
    found = look_through([str(archive)], Path("/nowhere"))
    assert [item.key for item in found.items] == sorted([*ALL, "archive/c/one.h5"])
    assert found.n_own == 1
    (archive / "a/page.hea").write_text("page 1 500 12\n")
    (archive / "a/page.dat").write_bytes(b"\0" * 24)
    (archive / "a/page.page.json").write_text("{}")
    assert look_through([str(archive), str(archive / "*/*")], Path("/nowhere")).n_own == 2
    (archive / "c/manifest.csv").write_text("time_s,I\n0,0\n0.1,0\n0.2,0\n")
    assert "archive/c/manifest.csv" in keys([archive])
    (archive / "c/ledger-1-of-2.jsonl").touch()
    assert "archive/c/manifest.csv" not in keys([archive])
    with pytest.raises(UsageError, match="only 1 that ecg4u itself wrote"):
        keys([archive / "c/a*.h5"])


def test_a_list_may_hold_what_is_no_name(tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_bytes(b"a\0b.png\n" + b"a" * 5000 + b".png\n\xff.png\n")
    assert len(keys([listed])) == 3


def test_no_pipe_is_waited_for_before_a_worker_is_there(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("in/pipe.png", "in/pipe.csv", "in/pipe.hea", "list.txt"):
        os.mkfifo(tmp_path / name)
    for source, code in (("in", 7), ("list.txt", 3)):
        done = ecg4u(tmp_path, "batch", source, "-o", f"{source}.out", "--deidentify")
        assert done.returncode == code, done.stderr
        assert "regular file" in done.stderr


@pytest.mark.parametrize("label", ["I" + "_" * 16_000, "elapsed" + " " * 16_000 + "x"])
def test_long_labels_do_not_stall_the_start(label: str, tmp_path: Path) -> None:
    for number in range(1000):
        (tmp_path / f"{number}.csv").write_text(f"{label},II\n0,0\n")
    (tmp_path / "page.png").touch()
    begun = time.process_time()
    find_inputs([str(tmp_path)], Path("/nowhere"), deidentify=True)
    assert time.process_time() - begun < 5
