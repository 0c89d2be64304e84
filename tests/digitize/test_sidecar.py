"""A page's findings, handed back: unedited to the last bit, edited where edited, broken refused."""

from __future__ import annotations

import contextlib
import json
import math
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg4u.analysis import analyse
from ecg4u.digitize import digitize_page, pipeline
from ecg4u.digitize.overlay import overlay
from ecg4u.digitize.restore import page_grade, restored
from ecg4u.digitize.result import Digitization
from ecg4u.digitize.sidecar.content import Note
from ecg4u.digitize.sidecar.model import Sidecar, sidecar_path
from ecg4u.errors import SidecarError, UsageError
from ecg4u.io import Page, read_page
from ecg4u.messages import message
from ecg4u.record import LEADS

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "data" / "pages"
SCHEMA = json.loads((ROOT / "docs" / "sidecar.schema.json").read_text())


@cache
def _reading(name: str) -> Digitization:
    return digitize_page(read_page(PAGES / name))


@pytest.fixture(params=["A00347.png", "phone.jpg"])
def first(request: pytest.FixtureRequest) -> Digitization:
    return _reading(request.param)


@pytest.fixture(scope="module")
def photo() -> Digitization:
    return _reading("phone.jpg")


@pytest.fixture
def no_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    """Going back to the picture for grid, names or traces fails the test."""

    def never(*args: Any, **options: Any) -> None:
        raise AssertionError("the page was read again")

    for name in ("rectify", "rectified_within", "read_labels", "find_ink", "trace_rows"):
        monkeypatch.setattr(pipeline, name, never)


def _again(first: Digitization, sidecar: Sidecar) -> Digitization:
    """The signals of a sidecar on a page that was rectified already."""
    return restored(first.page, first.rectified, sidecar)


def _edited(first: Digitization, **changes: Any) -> Digitization:
    assert first.basis is not None
    return _again(first, first.basis.corrected(**changes))


def _same(a: Digitization, b: Digitization, leads: tuple[str, ...] = LEADS) -> bool:
    return all(a.record.lead(n).tobytes() == b.record.lead(n).tobytes() for n in leads)


@cache
def _text(first: Digitization) -> str:
    assert first.basis is not None
    return first.basis.to_json()


def _document(first: Digitization) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(_text(first))
    return document


def test_an_unedited_sidecar_gives_the_same_record_without_reading_the_page(
    first: Digitization, no_reading: None
) -> None:
    assert first.basis is not None
    text = first.basis.to_json()
    second = digitize_page(first.page, sidecar=Sidecar.from_json(text))
    assert _same(first, second)
    assert first.record.confidence is not None
    assert second.record.confidence is not None
    assert first.record.confidence.tobytes() == second.record.confidence.tobytes()
    assert first.record.provenance == second.record.provenance
    assert first.to_dict() == second.to_dict()
    assert second.basis is not None
    assert second.basis.to_json() == text


def test_what_is_written_fits_the_schema_and_holds_no_text_but_names(first: Digitization) -> None:
    document = first.sidecar()
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert len(json.dumps(document)) < 200_000
    assert {s["lead"] for s in document["segments"]} == set(LEADS)
    assert document["page"]["sha256"] == first.page.sha256


def test_polylines_run_on_the_dark_ink_of_the_source(first: Digitization) -> None:
    image = first.page.image.max(axis=2)
    for segment in first.sidecar()["segments"]:
        x0, y0, x1, y1 = segment["box"]
        xy = np.array([p for p in segment["polyline"] if p])
        assert xy[:, 0].min() >= x0 - 3
        assert xy[:, 0].max() <= x1 + 3
        at = np.round(xy).astype(int)
        paper = np.median(image[int(y0) : int(y1) + 20, int(x0) : int(x1)])
        assert np.median(image[at[:, 1], at[:, 0]]) < 0.8 * paper


def test_names_are_swapped_and_nothing_else_changes(photo: Digitization) -> None:
    result = _edited(photo, names={"V1": "V2", "V2": "V1"})
    assert result.record.lead("V2")[2500:3700].tobytes() == (
        photo.record.lead("V1")[2500:3700].tobytes()
    )
    assert _same(photo, result, tuple(n for n in LEADS if n not in ("V1", "V2")))
    assert any(w.startswith("Corrected by hand: ") for w in result.warnings)
    assert len(result.record.provenance.details["corrected by hand"]) == 2
    assert result.to_dict()["corrections"] == list(result.corrections)
    assert {t.named_by for t in result.traces if t.lead in ("V1", "V2")} == {"user"}


def test_the_path_or_the_values_of_a_sidecar_will_do(photo: Digitization, tmp_path: Path) -> None:
    path = tmp_path / "phone.page.json"
    assert photo.basis is not None
    path.write_text(photo.basis.to_json())
    for given_as in (path, str(path), photo.sidecar()):
        again = digitize_page(photo.page, sidecar=given_as)
        np.testing.assert_array_equal(again.record.p_signal, photo.record.p_signal)
    with pytest.raises(SidecarError):
        digitize_page(photo.page, sidecar=tmp_path / "nothing.page.json")


def test_a_name_given_twice_is_said(photo: Digitization) -> None:
    twice = _edited(photo, names={"V1": "V2"})
    assert any(w.code == "name_twice" and w.leads == ("V2",) for w in twice.warnings)
    assert not any(w.code == "name_twice" for w in photo.warnings)
    assert twice.grade != "good"


def test_a_segment_is_left_out(photo: Digitization) -> None:
    result = _edited(photo, names={"aVR": None})
    assert np.isnan(result.record.lead("aVR")).all()
    assert any(w.code == "leads_missing" and "aVR" in w.leads for w in result.warnings)
    with pytest.raises(SidecarError):
        _edited(photo, names=dict.fromkeys(LEADS))


def test_gain_of_one_group_or_of_all(photo: Digitization) -> None:
    chest = _edited(photo, gain={"chest": 5})
    assert _same(photo, chest, LEADS[:6])
    assert np.allclose(chest.record.lead("V4"), 2 * photo.record.lead("V4"), equal_nan=True)
    assert chest.calibration.gain_from == "pulse"
    assert chest.to_dict()["calibration"]["chest_gain_from"] == "user"
    both = _edited(photo, gain=20)
    assert np.allclose(2 * both.record.lead("I"), photo.record.lead("I"), equal_nan=True)
    assert both.corrections == ("gain 20 mm/mV (found: 10)",)


def test_speed_changes_times_and_settles_the_warning(photo: Digitization) -> None:
    result = _edited(photo, speed=50)
    assert result.record.duration_s == pytest.approx(photo.record.duration_s / 2, abs=0.01)
    starts = {t.lead: t.start_s for t in photo.traces if not t.rhythm}
    for trace in result.traces:
        if not trace.rhythm:
            assert trace.start_s == pytest.approx(starts[trace.lead] / 2)
    assert np.allclose(  # a tip that lasts half as long is met less well by a sample
        np.nanmax(result.record.lead("V4")), np.nanmax(photo.record.lead("V4")), atol=0.08
    )
    assert not any("is assumed" in w and "mm/s" in w for w in result.warnings)
    assert not any("speed" in item for item in result.record.provenance.inferred)
    confirmed = _edited(photo, speed=25)
    assert _same(photo, confirmed)
    assert confirmed.calibration.speed_from == "user"


def test_a_lead_begins_elsewhere(photo: Digitization) -> None:
    result = _edited(photo, start_s={"V1": 0.0})
    assert np.isfinite(result.record.lead("V1")[:1200]).mean() > 0.9
    assert _same(photo, result, tuple(n for n in LEADS if n != "V1"))


def test_a_stretch_is_redrawn_where_the_hand_drew_it(photo: Digitization) -> None:
    assert photo.basis is not None
    piece = next(p for p in photo.basis.pieces if p.lead == "V5")
    zero = piece.zero_mm or 0.0
    x = piece.x0_mm + np.array([10.0, 15.0, 20.0])
    shape_mm = np.column_stack([x, (zero, zero - 10.0, zero)])
    drawn = photo.basis.mesh.to_source(shape_mm).tolist()
    result = _edited(photo, redraw=[{"segment": "V5", "points": drawn}])
    first = round(piece.start_s * 500)
    inside = slice(first + 200, first + 401)
    expected = 1.0 - np.abs(np.linspace(-1, 1, 201))
    assert np.allclose(result.record.lead("V5")[inside], expected, atol=0.01)
    before, after = photo.record.lead("V5").copy(), result.record.lead("V5").copy()
    before[inside] = after[inside] = 0
    assert before.tobytes() == after.tobytes()
    assert any("redrawn over 0.40 s" in text for text in result.corrections)
    assert any("corrected by hand" in t.reasons for t in result.traces if t.lead == "V5")
    backwards = _edited(photo, redraw=[{"segment": "V5", "points": drawn[::-1]}])
    assert _same(result, backwards)


def test_the_overlay_shows_what_the_hand_drew_in_black(photo: Digitization) -> None:
    assert photo.basis is not None
    segment = next(s for s in photo.sidecar()["segments"] if s["lead"] == "V5")
    points = [point for point in segment["polyline"] if point][10:40]
    edited = _edited(photo, redraw=[{"segment": "V5", "points": points}])
    before, after = overlay(photo), overlay(edited)
    height = len(photo.page.image)
    assert before.shape == after.shape
    assert before.shape[0] > height
    assert not (before[:height] == 0).all(axis=2).any()
    x = np.nonzero((after[:height] == 0).all(axis=2))[1]
    assert len(x) > 20
    assert x.min() >= points[0][0] - 5
    assert x.max() <= points[-1][0] + 5


def test_leads_that_contradict_each_other_keep_a_page_from_being_good(photo: Digitization) -> None:
    good = [replace(trace, grade="good") for trace in photo.traces]
    assert page_grade(good, ()) == ("good", ())
    assert page_grade(good, ("The limb leads contradict each other.",))[0] == "fair"
    one_poor = [replace(good[0], grade="poor"), *good[1:]]
    grade, (reason,) = page_grade(one_poor, ())
    assert (grade, reason) == ("fair", f"poor: {good[0].lead}")
    assert reason.parameters == {"grade": "poor", "leads": [good[0].lead]}


def test_reasons_of_grades_are_codes_with_parameters(photo: Digitization) -> None:
    redrawn = [replace(t, reasons=(message("trace_redrawn"),)) for t in photo.traces]
    page = replace(photo, traces=tuple(redrawn), grade_reasons=page_grade(redrawn, ("odd",))[1])
    values = page.to_dict()
    assert [m["code"] for m in values["grade_messages"]][-1] == "leads_disagree"
    assert [m["text"] for m in values["grade_messages"]] == values["grade_reasons"]
    assert values["leads"]["V1"]["messages"] == [
        {
            "code": "trace_redrawn",
            "severity": "note",
            "about": "trace",
            "leads": [],
            "parameters": {},
            "text": "corrected by hand",
        }
    ]


def test_a_stretch_is_blanked(photo: Digitization) -> None:
    segment = next(s for s in photo.sidecar()["segments"] if s["lead"] == "V5")
    x0, _, x1, _ = segment["box"]
    third = [x0 + (x1 - x0) / 3, x0 + 2 * (x1 - x0) / 3]
    result = _edited(photo, redraw=[{"segment": "V5", "points": None, "x": third}])
    lost = np.isfinite(photo.record.lead("V5")).sum() - np.isfinite(result.record.lead("V5")).sum()
    assert lost == pytest.approx(1250 / 3, rel=0.05)
    assert next(t for t in result.traces if t.lead == "V5").grade != "good"


def test_edits_in_the_file_do_what_the_method_does(photo: Digitization) -> None:
    document = _document(photo)
    for segment in document["segments"]:
        if segment["lead"] in ("V1", "V2"):
            segment["lead"] = "V2" if segment["lead"] == "V1" else "V1"
    document["calibration"]["gain_mm_per_mv"]["chest"] = 5
    document["calibration"]["speed_mm_per_s"] = 50
    by_hand = _again(photo, Sidecar.from_json(json.dumps(document)))
    by_call = _edited(photo, names={"V1": "V2", "V2": "V1"}, gain={"chest": 5}, speed=50)
    assert _same(by_hand, by_call)
    assert by_hand.corrections == by_call.corrections
    document["calibration"]["gain_mm_per_mv"] = 5
    assert Sidecar.from_dict(document).calibration.gain_for("I") == 5


def test_a_polyline_edited_in_the_file_is_a_redraw_of_that_stretch(photo: Digitization) -> None:
    document = _document(photo)
    place = next(i for i, s in enumerate(document["segments"]) if s["lead"] == "V6")
    line = document["segments"][place]["polyline"]
    middle = len(line) // 2
    line[middle][1] -= 30.0
    moved = _again(photo, Sidecar.from_dict(document))
    changed = np.flatnonzero(np.abs(moved.record.lead("V6") - photo.record.lead("V6")) > 1e-9)
    assert 1 <= len(changed) < 200
    assert np.abs(moved.record.lead("V6") - photo.record.lead("V6"))[changed].max() > 0.4
    line[middle - 3 : middle + 4] = [None]
    gone = _again(photo, Sidecar.from_dict(document))
    assert np.isnan(gone.record.lead("V6")).sum() > np.isnan(photo.record.lead("V6")).sum()
    document["segments"][place]["polyline"] = line[:middle]
    half = _again(photo, Sidecar.from_dict(document))
    assert np.isfinite(half.record.lead("V6")).sum() < 1000


def test_corrections_survive_being_written_and_read(photo: Digitization) -> None:
    assert photo.basis is not None
    segment = next(s for s in photo.sidecar()["segments"] if s["lead"] == "V5")
    points = segment["polyline"][5:15]
    edited = photo.basis.corrected(
        names={"1.1": None},
        gain={"limb": 5},
        start_s={"V6": 1.0},
        redraw=[{"segment": "V5", "points": points}],
    )
    text = edited.to_json()
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(text))
    back = Sidecar.from_json(text)
    assert back.corrections == edited.corrections
    assert len(back.corrections) == 4
    assert back.to_json() == text
    assert _same(_again(photo, edited), _again(photo, back))


def test_a_layout_with_as_many_rows_is_taken_and_any_other_refused(photo: Digitization) -> None:
    cabrera = _edited(photo, layout="3x4+1-cabrera")
    assert [t.lead for t in cabrera.traces][:5] == ["aVL", "II", "V1", "V4", "I"]
    cut = _edited(photo, layout="4x3")
    assert len(cut.traces[0].signal) == pytest.approx(5000 / 3, abs=30)
    assert photo.basis is not None
    edited = photo.basis.corrected(layout="4x3").corrected(names={"V6": "V5"})
    again = Sidecar.from_json(edited.to_json())
    assert _same(_again(photo, edited), _again(photo, again))
    with pytest.raises(SidecarError) as caught:
        _edited(photo, layout="12x1")
    assert "3x4+1" in caught.value.hint


def test_moved_corners_read_the_page_anew_and_keep_the_other_corrections(
    photo: Digitization, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert photo.basis is not None
    corners = np.array(photo.sidecar()["corners"])
    nearer = (corners.mean(axis=0) + 0.97 * (corners - corners.mean(axis=0))).tolist()
    edited = photo.basis.corrected(corners=nearer, names={"V1": "V2", "V2": "V1"})
    result = digitize_page(photo.page, sidecar=Sidecar.from_json(edited.to_json()))
    assert result.corrections[0] == "corners of the page"
    assert {t.named_by for t in result.traces if t.lead in ("V1", "V2")} == {"user"}
    a = next(t for t in result.traces if t.lead == "V2").signal
    b = next(t for t in photo.traces if t.lead == "V1").signal
    shifts = [np.corrcoef(a[200:1000], b[200 + k : 1000 + k])[0, 1] for k in range(-150, 151)]
    assert max(shifts) > 0.95
    monkeypatch.setattr(pipeline, "rectified_within", None)
    assert result.basis is not None
    assert _same(result, digitize_page(photo.page, sidecar=result.basis))


def test_another_page_and_a_record_are_refused(photo: Digitization) -> None:
    other = Page(photo.page.image, "0" * 64)
    with pytest.raises(SidecarError, match="another page"):
        digitize_page(other, sidecar=photo.basis)
    with pytest.raises(UsageError):
        analyse(photo.record, sidecar=photo.basis)


def _set(*path: Any, to: Any) -> Any:
    def change(document: dict[str, Any]) -> None:
        place: Any = document
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = to

    return change


BROKEN = {
    "newer": _set("schema", to="ecg4u.page/2"),
    "another schema": _set("schema", to="ecg4u.result/1"),
    "unknown lead": _set("segments", 0, "lead", to="V9"),
    "lead in the wrong case": _set("segments", 0, "lead", to="avr"),
    "lead a number": _set("segments", 0, "lead", to=3),
    "negative gain": _set("calibration", "gain_mm_per_mv", to=-10),
    "gain zero": _set("calibration", "gain_mm_per_mv", "limb", to=0),
    "gain a text": _set("calibration", "gain_mm_per_mv", to="10"),
    "gain true": _set("calibration", "gain_mm_per_mv", to=True),
    "gain of a group that is none": _set("calibration", "gain_mm_per_mv", to={"limb": 1}),
    "speed NaN": _set("calibration", "speed_mm_per_s", to=math.nan),
    "speed infinite": _set("calibration", "speed_mm_per_s", to=math.inf),
    "speed huge": _set("calibration", "speed_mm_per_s", to=10**400),
    "three corners": _set("corners", to=[[0, 0], [9, 0], [9, 9]]),
    "crossed corners": _set("corners", to=[[0, 0], [900, 500], [900, 0], [0, 500]]),
    "mirrored corners": _set("corners", to=[[900, 0], [0, 0], [0, 500], [900, 500]]),
    "corners of nothing": _set("corners", to=[[0, 0], [9, 0], [9, 9], [0, 9]]),
    "corners off the page": _set("corners", to=[[0, 0], [9e4, 0], [9e4, 9e4], [0, 9e4]]),
    "start before the page": _set("segments", 0, "start_s", to=-1),
    "start in a week": _set("segments", 0, "start_s", to=604800),
    "no segments": _set("segments", to=[]),
    "a segment taken out": lambda d: d["segments"].pop(),
    "an id twice": _set("segments", 0, "id", to="1.2"),
    "a huge polyline": _set("segments", 0, "polyline", to=[[0, 0]] * 30_000),
    "a point of three": _set("segments", 0, "polyline", to=[[0, 0, 0]] * 3),
    "redraw of nothing": _set("redraw", to=[{"segment": "9.9", "points": [[0, 0], [1, 1]]}]),
    "redraw of a lead on the page twice": _set(
        "redraw", to=[{"segment": "II", "points": [[0, 0], [1, 1]]}]
    ),
    "redraw of one point": _set("redraw", to=[{"segment": "1.1", "points": [[0, 0]]}]),
    "blank without a span": _set("redraw", to=[{"segment": "1.1", "points": None}]),
    "many redraws": _set("redraw", to=[{"segment": "1.1", "points": None, "x": [0, 1]}] * 501),
    "samples damaged": _set("measured", "segments", 0, "height_um", to="AAAA"),
    "samples of another length": _set("measured", "segments", 0, "n", to=1000),
    "a bomb": _set("measured", "segments", 0, "n", to=10**9),
    "mesh too large": _set("measured", "mesh", "width", to=10**7),
    "an unknown member": _set("gain", to=5),
    "a misspelt member": _set("calibration", "speed", to=50),
    "warning with control characters": _set("warnings", to=[{"about": "x", "text": "\x1b[31m"}]),
    "layout of other rows": _set("layout", "name", to="12x1"),
    "layout of no kind": _set("layout", "name", to="../../x"),
    "hash that is none": _set("page", "sha256", to="x"),
}


@pytest.mark.parametrize("kind", sorted(BROKEN))
def test_what_cannot_be_is_refused_with_a_remedy(photo: Digitization, kind: str) -> None:
    document = _document(photo)
    BROKEN[kind](document)
    with pytest.raises(SidecarError) as caught:
        Sidecar.from_dict(document)
    assert caught.value.hint
    assert caught.value.exit_code == 3
    text = json.dumps(document)
    with pytest.raises(SidecarError):
        Sidecar.from_json(text)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "{}", "[" * 100_000, '{"a": NaN}', "\udcff", b"\xff\xfe{", b"{}"],
)
def test_what_is_no_sidecar_is_refused(text: str | bytes, tmp_path: Path) -> None:
    data = text if isinstance(text, bytes) else text.encode("utf-8", "replace")
    with pytest.raises(SidecarError):
        Sidecar.from_json(data)
    path = tmp_path / "x.page.json"
    path.write_bytes(data)
    for source in (path, str(path), tmp_path, tmp_path / "missing"):
        with pytest.raises(SidecarError):
            Sidecar.from_json(source)


BAD_CORRECTIONS: list[dict[str, Any]] = [
    {"names": {"V1": "V7"}},
    {"names": {"V7": "V1"}},
    {"gain": -1},
    {"gain": {"legs": 10}},
    {"gain": "10"},
    {"speed": math.nan},
    {"speed": 0},
    {"corners": [[0, 0]]},
    {"corners": 5},
    {"start_s": {"V1": -3}},
    {"layout": 7},
    {"redraw": [{"segment": "V1"}]},
    {"redraw": ["V1"]},
    {"redraw": [{"segment": "V1", "points": [[0, math.nan], [1, 1]]}]},
]


@pytest.mark.parametrize("changes", BAD_CORRECTIONS, ids=str)
def test_a_correction_that_makes_no_sense_is_refused(
    photo: Digitization, changes: dict[str, Any]
) -> None:
    with pytest.raises(SidecarError):
        _edited(photo, **changes)


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=True)
    | st.text(max_size=6)
    | st.sampled_from([*LEADS, "1.1", "", "3x4", 10**400, -1, 0, 1e308, "ecg4u.page/1"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths into a document, few of each long list."""
    found = [path] if path else []
    if isinstance(value, dict):
        for key in value:
            found += _places(value[key], (*path, key))
    elif isinstance(value, list):
        for i in (*range(min(2, len(value))), *range(max(2, len(value) - 1), len(value))):
            found += _places(value[i], (*path, i))
    return found


@settings(max_examples=60)
@given(data=st.data())
def test_whatever_stands_in_it_gives_signals_or_a_typed_error(
    photo: Digitization, data: st.DataObject
) -> None:
    document = _document(photo)
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(_places(document)))
        _set(*path, to=data.draw(ANYTHING))(document)
    try:
        sidecar = Sidecar.from_dict(document)
        result = _again(photo, sidecar)
    except SidecarError:
        return
    assert np.isfinite(result.record.p_signal).any() or result.grade in ("poor", "missing")


@settings(max_examples=40)
@given(st.integers(0, 10_000_000), st.integers(0, 255))
def test_a_changed_byte_never_ends_in_a_traceback(
    photo: Digitization, place: int, byte: int
) -> None:
    data = bytearray(_text(photo).encode())
    data[place % len(data)] = byte
    with contextlib.suppress(SidecarError):
        _again(photo, Sidecar.from_json(bytes(data)))


@pytest.mark.shared
@pytest.mark.parametrize(
    "name", ["real_pages/31.*", "real_pages/b1.*", "photos_with_truth/*", "generated/C*"]
)
def test_unedited_on_more_real_pages(name: str) -> None:
    path = next(p for p in sorted((ROOT / "../shared/images").glob(name)) if p.suffix != ".npz")
    first = digitize_page(read_page(path))
    assert first.basis is not None
    second = digitize_page(first.page, sidecar=Sidecar.from_json(first.basis.to_json()))
    assert _same(first, second)
    assert first.to_dict() == second.to_dict()


def test_where_a_sidecar_stands() -> None:
    assert sidecar_path(Path("a/b.c")) == Path("a/b.c.page.json")


def test_warnings_keep_their_codes_on_the_way_through_a_file(photo: Digitization) -> None:
    noted = replace(photo.basis, notes=(Note("gain", message("gain_assumed")), Note("x", "Gain.")))
    kept, words = Sidecar.from_json(noted.to_json()).notes
    assert kept.text.code == "gain_assumed"
    assert (words.about, words.text) == ("x", "Gain.")


@pytest.mark.parametrize(
    "said",
    [
        {"text": "John Doe"},
        {"text": "J\u00f8hn"},
        {"about": "doe"},
        {
            "text": "Nothing was found of Doe.",
            "code": "leads_missing",
            "parameters": {"leads": ["Doe"]},
        },
    ],
    ids=str,
)
def test_a_name_in_a_warning_is_left_out(said: dict[str, Any], photo: Digitization) -> None:
    document = photo.basis.to_dict()
    document["warnings"] = [{"about": "gain", "text": "Flat: I.", **said}]
    (note,) = Sidecar.from_dict(document).notes
    assert note.text == message("remark_left_out")


@pytest.mark.parametrize("place", ["gain_from", "speed_from", "scale_from", "layout"])
def test_a_name_as_a_word_of_the_sidecar_is_refused(place: str, photo: Digitization) -> None:
    document = json.loads(photo.basis.to_json())
    for part in (document["calibration"], document["grid"], document["measured"]):
        part |= {place: "doe"} if place in part else {}
    with pytest.raises(SidecarError):
        Sidecar.from_dict(document)


def test_a_file_that_knows_no_codes_is_still_read(photo: Digitization) -> None:
    document = replace(photo.basis, notes=(Note("gain", message("gain_assumed")),)).to_dict()
    del document["warnings"][0]["code"], document["warnings"][0]["parameters"]
    assert Sidecar.from_dict(document).notes[0].text == message("gain_assumed")
