"""The contact sheet."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecg4u.batch import sheet


def row(name: str, **values: object) -> dict[str, object]:
    return {"input": name, "status": "done", "message": "", "folder": "", **values}


@pytest.mark.parametrize(
    ("values", "rank"),
    [
        ({"urgent": True, "grade": "poor"}, 4),
        ({"status": "refused", "message": "no grid"}, 3),
        ({"grade": "poor"}, 2),
        ({"grade": "good", "signal": "usable, with reservations"}, 1),
        ({"grade": "good", "signal": "usable", "urgent": False}, 0),
    ],
)
def test_what_needs_a_look_and_why(values: dict[str, object], rank: int) -> None:
    found, why = sheet.urgency(row("a", **values))
    assert found == rank
    assert bool(why) == bool(rank)


def test_those_to_look_at_come_first_and_all_text_is_escaped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = [row("fine", grade="good"), row("<b>bad", status="failed", message="<i>broken")]
    monkeypatch.setattr(sheet, "Entries", lambda out: {})
    monkeypatch.setattr(sheet, "rows", lambda entries: iter(pages))
    text = sheet.write_sheet(tmp_path).read_text()
    assert "2 pages, 1 to look at" in text
    assert "not a medical device" in text
    assert text.index("&lt;b&gt;bad") < text.index("fine")
    assert "<i>broken" not in text


def test_a_page_to_look_at_names_the_command_that_corrects_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "of-a").mkdir()
    (tmp_path / "of-a" / sheet.THUMBNAIL_NAME).write_bytes(b"")
    pages = [
        row("a page.png", grade="poor", folder="of-a"),
        row("good.png", grade="good", folder="of-a"),
        row("record.hea", grade=None, signal="not usable"),
    ]
    monkeypatch.setattr(sheet, "Entries", lambda out: {})
    monkeypatch.setattr(sheet, "rows", lambda entries: iter(pages))
    text = sheet.write_sheet(tmp_path).read_text()
    assert "ecg4u fix &#x27;a page.png&#x27;" in text
    assert text.count("ecg4u fix") == 1


def test_each_warning_has_a_line_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = [row("a", warning_texts="One. | Two."), row("b", warning_texts="")]
    monkeypatch.setattr(sheet, "Entries", lambda out: {})
    monkeypatch.setattr(sheet, "rows", lambda entries: iter(pages))
    text = sheet.write_sheet(tmp_path).read_text()
    assert "<td><span>One.</span><span>Two.</span></td>" in text
