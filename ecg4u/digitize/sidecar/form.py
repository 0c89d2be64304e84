"""Sidecars as JSON: written compactly, read with suspicion.

Whatever the text holds, reading it gives the content of a page or one `SidecarError` that says
where it is wrong. docs/sidecar.schema.json describes the same form to other programs.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn, get_args

import numpy as np
import numpy.typing as npt

from ecg4u._version import __version__
from ecg4u.digitize.page.mesh import PRECISION_PX, STEP_MM, Mesh, shape_of
from ecg4u.digitize.page.rectified import PX_PER_MM, Grid
from ecg4u.digitize.sidecar.content import (
    GAP,
    GROUPS,
    SCHEMA,
    STAGE,
    Note,
    PageContent,
    Piece,
    Points,
    Redraw,
)
from ecg4u.digitize.sidecar.corrections import (
    MAX_REDRAWS,
    MAX_START_S,
    checked_redraws,
    read_redraw,
    with_gains,
)
from ecg4u.digitize.sidecar.redraw import measured, polyline, zero_of
from ecg4u.digitize.sidecar.relayout import with_layout
from ecg4u.digitize.sidecar.values import MAX_SOURCE_PX, REPAIR, Value, read_corners
from ecg4u.digitize.types import Calibration, NamedBy, told
from ecg4u.errors import SidecarError, UnreadableInputError
from ecg4u.messages import Message, in_own_words, message, restored
from ecg4u.options import GAINS_MM_PER_MV, SPEEDS_MM_PER_S
from ecg4u.record import DEFAULT_FS_HZ, LEADS

MAX_BYTES = 20_000_000
MAX_PIECES = 64
MAX_SAMPLES = 100_000
MAX_NOTES = 100
MAX_TOTAL_SAMPLES = 500_000
MAX_PAGE_PIXELS = 50_000_000
MAX_PAGE_PX = 20_000
MAX_HEIGHT_UM = 2_000_000
"""What a sidecar may hold at most, so that a hostile one takes little time and memory; by eye,
far above what a page needs. Heights of traces are in micrometres of paper."""
ID = r"[0-9]{1,3}[.][0-9]{1,3}"
SCALE_FROM = ("grid", "pulse", "dpi", "none")
FOUND_FROM = ("user", "pulse", "text", "layout", "assumed")
LAYOUT = r"[0-9]{1,2}x[0-9]{1,2}([+][0-9])?(-cabrera|-simultaneous)?"


def parse(source: str | bytes | Path) -> Any:
    """The plain values of a sidecar's text, its bytes or its file."""
    return _loaded(_text(source))


def _text(source: str | bytes | Path) -> str:
    from ecg4u.io.files import read_bytes

    if isinstance(source, str) and source.lstrip()[:1] in ("{", "["):
        data = source.encode("utf-8", "replace")
    elif isinstance(source, bytes):
        data = source
    else:
        try:
            data = read_bytes(source, max_bytes=MAX_BYTES)
        except UnreadableInputError as error:
            _refuse(f"The sidecar cannot be read: {error.message}", error.hint)
    if len(data) > MAX_BYTES:
        _refuse(f"The sidecar is larger than {MAX_BYTES // 1_000_000} MB.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        _refuse("The sidecar is not UTF-8 text.")


def _loaded(text: str) -> Any:
    def no_constant(name: str) -> NoReturn:
        raise ValueError(name)

    try:
        return json.loads(text, parse_constant=no_constant)
    except (ValueError, RecursionError):
        _refuse("The sidecar is not valid JSON.", "Check the last edit for a comma or bracket.")


def _refuse(message: str, hint: str = REPAIR) -> NoReturn:
    raise SidecarError(message, stage=STAGE, hint=hint)


def dump(values: dict[str, Any]) -> str:
    """JSON with one line per member of its lists, so that a person can find their way."""
    lines = []
    for key, value in values.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            inner = ",\n  ".join(_line(item) for item in value)
            lines.append(f" {json.dumps(key)}: [\n  {inner}\n ]")
        else:
            lines.append(f" {json.dumps(key)}: {_line(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True, allow_nan=False)


def write(sidecar: PageContent) -> dict[str, Any]:
    """`Sidecar.to_dict`."""
    grid, mesh = sidecar.grid, sidecar.mesh
    lines = [polyline(piece, sidecar) for piece in sidecar.pieces]
    return {
        "schema": SCHEMA,
        "written_by": f"ecg4u {__version__}",
        "page": {
            "sha256": sidecar.page_sha256,
            "number": sidecar.page_number,
            "width": sidecar.size[0],
            "height": sidecar.size[1],
        },
        "corners": [list(corner) for corner in sidecar.corners],
        "calibration": {
            **_scale(sidecar.calibration),
            "pulse_height_mm": sidecar.calibration.pulse_height_mm,
            "pulse_width_mm": sidecar.calibration.pulse_width_mm,
        },
        "layout": {"name": sidecar.layout, "confidence": told(sidecar.layout_confidence)},
        "segments": [
            _segment(piece, sidecar, line)
            for piece, line in zip(sidecar.pieces, lines, strict=True)
        ],
        "redraw": [_redraw(redraw) for redraw in sidecar.redraw],
        "warnings": [_note(note) for note in sidecar.notes],
        "rows": _rows(sidecar),
        "grid": {
            "spacing_mm": grid.spacing_mm,
            "scale_from": grid.scale_from,
            "confidence": told(min(max(grid.confidence, 0.0), 1.0)),
            "residual_mm": None if math.isnan(grid.residual_mm) else told(grid.residual_mm),
            "source_px_per_mm": [told(value) for value in grid.source_px_per_mm],
            "turned_deg": told(grid.turned_deg),
            "spacing_inferred": grid.spacing_inferred,
        },
        "found": {
            "corners": [list(corner) for corner in sidecar.found_corners],
            "calibration": _scale(sidecar.found_calibration),
            "layout": sidecar.found_layout,
            "leads": [piece.found_lead for piece in sidecar.pieces],
            "start_s": [piece.found_start_s for piece in sidecar.pieces],
            "polylines": [fingerprint(line) for line in lines],
        },
        "measured": {
            "layout": sidecar.layout,
            "mesh": {
                "step_mm": STEP_MM,
                "width": mesh.width,
                "height": mesh.height,
                "points": pack(np.rint(mesh.points / PRECISION_PX).transpose(2, 0, 1)),
            },
            "segments": [_samples(piece) for piece in sidecar.pieces],
        },
    }


def _note(note: Note) -> dict[str, Any]:
    values = {"about": note.about, "text": str(note.text)}
    if not isinstance(note.text, Message):
        return values
    return {**values, "code": note.text.code, "parameters": dict(note.text.parameters)}


def _scale(calibration: Calibration) -> dict[str, Any]:
    return {
        "gain_mm_per_mv": {g: calibration.gain_for(leads[0]) for g, leads in GROUPS.items()},
        "gain_from": {g: calibration.gain_from_for(leads[0]) for g, leads in GROUPS.items()},
        "speed_mm_per_s": calibration.speed_mm_per_s,
        "speed_from": calibration.speed_from,
    }


def _segment(piece: Piece, sidecar: PageContent, line: Points) -> dict[str, Any]:
    speed = sidecar.calibration.speed_mm_per_s
    return {
        "id": piece.id,
        "lead": piece.lead,
        "named_by": piece.named_by,
        "probability": piece.probability,
        "row": piece.row + 1,
        "rhythm": piece.rhythm,
        "start_s": piece.start_s,
        "duration_s": round((piece.x1_mm - piece.x0_mm) / speed, 4),
        "box": _box(piece, sidecar),
        "polyline": points_json(line),
    } | ({"inverted": True} if piece.inverted else {})


def points_json(points: Points) -> list[list[float] | None]:
    """Points (n, 2) as lists, NaN as None."""
    return [point if math.isfinite(sum(point)) else None for point in points.tolist()]


def fingerprint(points: Points) -> str:
    """A short checksum by which an edited polyline is known."""
    tenths = np.where(np.isfinite(points), np.rint(points * 10), -(2**30)).astype("<i4")
    return f"{zlib.crc32(tenths.tobytes()):08x}"


def _box(piece: Piece, sidecar: PageContent) -> list[float]:
    """Upright box in source px around a piece: x0, y0, x1, y1."""
    height, _ = measured(piece, sidecar.redraw, sidecar)
    known = height[np.isfinite(height)]
    low, high = (known.min(), known.max()) if len(known) else (0.0, 0.0)
    zero = zero_of(piece, sidecar)
    corners = [(x, zero - y) for x in (piece.x0_mm, piece.x1_mm) for y in (low, high)]
    source = sidecar.mesh.to_source(np.array(corners))
    box = np.concatenate([source.min(axis=0), source.max(axis=0)])
    return [round(float(value), 1) for value in box]


def _rows(sidecar: PageContent) -> list[dict[str, Any]]:
    rows = []
    for row in sorted({piece.row for piece in sidecar.pieces}):
        pieces = [piece for piece in sidecar.pieces if piece.row == row]
        zero = float(np.median([zero_of(piece, sidecar) for piece in pieces]))
        ends = (min(p.x0_mm for p in pieces), max(p.x1_mm for p in pieces))
        line = sidecar.mesh.to_source(np.array([(x, zero) for x in ends]))
        rows.append({"row": row + 1, "zero_line": np.round(line, 1).tolist()})
    return rows


def _redraw(redraw: Redraw) -> dict[str, Any]:
    values: dict[str, Any] = {"segment": redraw.segment}
    if redraw.x is not None:
        values["x"] = list(redraw.x)
    values["points"] = None if redraw.points is None else points_json(redraw.points)
    return values


def _samples(piece: Piece) -> dict[str, Any]:
    return {
        "n": len(piece.height_um),
        "x0_mm": piece.x0_mm,
        "step_mm": piece.step_mm,
        "zero_mm": piece.zero_mm,
        "height_um": pack(piece.height_um),
        "confidence": pack(piece.percent),
    }


def pack(values: npt.NDArray[Any]) -> str:
    """Whole numbers as base64 of zlib of their differences, little-endian int32."""
    steps = np.diff(values.astype(np.int64).ravel(), prepend=0).astype("<i4")
    return base64.b64encode(zlib.compress(steps.tobytes(), 9)).decode("ascii")


def unpack(value: Value, n: int, low: int, high: int) -> npt.NDArray[np.int64]:
    """The ``n`` whole numbers that `pack` wrote, each within limits."""
    if not isinstance(value.value, str) or len(value.value) > 8 * n + 100:
        raise value.wrong("must be packed text")
    try:
        packed = base64.b64decode(value.value.encode("ascii"), validate=True)
        stream = zlib.decompressobj()
        data = stream.decompress(packed, 4 * n + 1)
    except (ValueError, binascii.Error, zlib.error):
        raise value.wrong("is damaged") from None
    if len(data) != 4 * n or not stream.eof:
        raise value.wrong("is damaged")
    numbers = np.cumsum(np.frombuffer(data, "<i4").astype(np.int64))
    if n and (numbers.min() < low or numbers.max() > high):
        raise value.wrong("holds numbers outside their limits")
    return numbers


TOP = (
    "schema",
    "page",
    "corners",
    "calibration",
    "layout",
    "segments",
    "redraw",
    "warnings",
    "grid",
    "found",
    "measured",
)


def read(values: Any) -> PageContent:
    """`Sidecar.from_dict`."""
    _check_schema(values)
    top = Value(values, "all").members(TOP, ("written_by", "rows"))
    page = top["page"].members(("sha256", "number", "width", "height"))
    size = (page["width"].whole(1, MAX_PAGE_PX * 50), page["height"].whole(1, MAX_PAGE_PX * 50))
    found = top["found"].members(
        ("corners", "calibration", "layout", "leads", "start_s", "polylines")
    )
    found_calibration = _read_calibration(found["calibration"])
    layout = top["layout"].members(("name", "confidence"))
    inner = top["measured"].members(("layout", "mesh", "segments"))
    sidecar = PageContent(
        page_sha256=_sha256(page["sha256"]),
        page_number=page["number"].whole(1, 1_000_000),
        size=size,
        corners=read_corners(top["corners"], size),
        found_corners=read_corners(found["corners"], size),
        grid=_read_grid(top["grid"]),
        mesh=_read_mesh(inner["mesh"]),
        layout=inner["layout"].word(LAYOUT),
        found_layout=found["layout"].word(LAYOUT),
        layout_confidence=layout["confidence"].number(0.0, 1.0),
        calibration=_read_edited_calibration(top["calibration"], found_calibration),
        found_calibration=found_calibration,
        pieces=_read_pieces(top["segments"], inner["segments"], found),
        notes=tuple(_read_note(note) for note in top["warnings"].items(MAX_NOTES)),
    )
    redraw = tuple(read_redraw(item, sidecar) for item in top["redraw"].items(MAX_REDRAWS))
    sidecar = replace(sidecar, redraw=checked_redraws(redraw))
    sidecar = _with_edited_polylines(sidecar, top["segments"], found["polylines"])
    return _with_edited_layout(sidecar, layout["name"])


def _check_schema(values: Any) -> None:
    schema = values.get("schema") if isinstance(values, dict) else None
    if schema == SCHEMA:
        return
    newer = re.fullmatch(r"ecg4u\.page/(\d{1,9})", schema) if isinstance(schema, str) else None
    if newer and int(newer[1]) > int(SCHEMA.rpartition("/")[2]):
        _refuse("The sidecar was written by a newer version of ecg4u.", "Update ecg4u.")
    _refuse(f"This is not a page's sidecar: its schema is not {SCHEMA}.")


def _sha256(value: Value) -> str:
    if not isinstance(value.value, str) or not re.fullmatch(r"([0-9a-f]{64})?", value.value):
        raise value.wrong("must be 64 hexadecimal digits")
    return value.value


def _read_calibration(value: Value) -> Calibration:
    got = value.members(
        ("gain_mm_per_mv", "gain_from", "speed_mm_per_s", "speed_from"),
        ("pulse_height_mm", "pulse_width_mm"),
    )
    gain = _by_group(got["gain_mm_per_mv"])
    origin = _by_group(got["gain_from"])
    heights = [
        None if name not in got or got[name].value is None else got[name].number(0.0, 500.0)
        for name in ("pulse_height_mm", "pulse_width_mm")
    ]
    limb, chest = (
        (gain[group].number(*GAINS_MM_PER_MV), origin[group].one_of(FOUND_FROM)) for group in GROUPS
    )
    scale = Calibration(
        speed_mm_per_s=got["speed_mm_per_s"].number(*SPEEDS_MM_PER_S),
        speed_from=got["speed_from"].one_of(FOUND_FROM),
        pulse_height_mm=heights[0],
        pulse_width_mm=heights[1],
    )
    return with_gains(scale, limb, chest)


def _by_group(value: Value) -> dict[str, Value]:
    """A value for both groups, or one for each."""
    if isinstance(value.value, dict):
        return value.members(tuple(GROUPS))
    return dict.fromkeys(GROUPS, value)


def _read_edited_calibration(value: Value, found: Calibration) -> Calibration:
    """The calibration, what was edited in it being the user's."""
    now = _read_calibration(value)
    gains = []
    for leads in GROUPS.values():
        gain = now.gain_for(leads[0])
        edited = gain != found.gain_for(leads[0])
        gains.append((gain, "user" if edited else now.gain_from_for(leads[0])))
    now = with_gains(now, *gains)
    if now.speed_mm_per_s != found.speed_mm_per_s:
        now = replace(now, speed_from="user")
    return now


def _read_grid(value: Value) -> Grid:
    names = ("spacing_mm", "scale_from", "confidence", "residual_mm", "source_px_per_mm")
    got = value.members((*names, "turned_deg", "spacing_inferred"))
    residual = got["residual_mm"].or_none()
    x, y = got["source_px_per_mm"].items(2, 2)
    scale_from = got["scale_from"].one_of(SCALE_FROM)
    return Grid(
        spacing_mm=got["spacing_mm"].number(0.0, 100.0),
        scale_from=scale_from,  # type: ignore[arg-type]
        confidence=got["confidence"].number(0.0, 1.0),
        residual_mm=math.nan if residual is None else residual.number(0.0, 1000.0),
        source_px_per_mm=(x.number(0.01, 1000.0), y.number(0.01, 1000.0)),
        turned_deg=got["turned_deg"].number(-360.0, 360.0),
        spacing_inferred=got["spacing_inferred"].flag(),
    )


def _read_mesh(value: Value) -> Mesh:
    got = value.members(("step_mm", "width", "height", "points"))
    got["step_mm"].whole(STEP_MM, STEP_MM)
    width, height = got["width"].whole(11, MAX_PAGE_PX), got["height"].whole(11, MAX_PAGE_PX)
    if width * height > MAX_PAGE_PIXELS:
        raise value.wrong("describes a page that is too large")
    rows, columns = shape_of(width, height)
    limit = int(10 * MAX_SOURCE_PX / PRECISION_PX)
    flat = unpack(got["points"], 2 * rows * columns, -limit, limit)
    points = flat.reshape(2, rows, columns).transpose(1, 2, 0) * PRECISION_PX
    return Mesh(width, height, np.ascontiguousarray(points))


def _read_pieces(segments: Value, samples: Value, found: dict[str, Value]) -> tuple[Piece, ...]:
    shown, inner = segments.items(MAX_PIECES, 1), samples.items(MAX_PIECES, 1)
    leads, starts = found["leads"].items(MAX_PIECES), found["start_s"].items(MAX_PIECES)
    if not len(shown) == len(inner) == len(leads) == len(starts):
        raise segments.wrong("must keep its number of items; set a lead to null to leave it out")
    pieces = tuple(map(_read_piece, shown, inner, leads, starts))
    if sum(len(piece.percent) for piece in pieces) > MAX_TOTAL_SAMPLES:
        raise samples.wrong("holds more samples than a page can show")
    if len({piece.id for piece in pieces}) < len(pieces):
        raise segments.wrong("must not repeat an id")
    return pieces


def _read_piece(segment: Value, samples: Value, lead: Value, start: Value) -> Piece:
    got = segment.members(
        ("id", "lead", "named_by", "probability", "row", "rhythm", "start_s", "polyline"),
        ("duration_s", "box", "inverted"),
    )
    data = samples.members(("n", "x0_mm", "step_mm", "zero_mm", "height_um", "confidence"))
    n = data["n"].whole(1, MAX_SAMPLES)
    zero = data["zero_mm"].or_none()
    limit_mm = MAX_PAGE_PX / PX_PER_MM
    percent = unpack(data["confidence"], n, 0, GAP)
    if ((percent > 100) & (percent != GAP)).any():
        raise data["confidence"].wrong("holds numbers outside their limits")
    found_lead = lead.one_of(LEADS)
    name = got["lead"].lead_or_none()
    named_by: NamedBy = got["named_by"].one_of(get_args(NamedBy))  # type: ignore[assignment]
    return Piece(
        id=got["id"].word(ID),
        lead=name,
        named_by=named_by if name == found_lead else "user",
        probability=got["probability"].number(0.0, 1.0),
        row=got["row"].whole(1, MAX_PIECES) - 1,
        rhythm=got["rhythm"].flag(),
        start_s=got["start_s"].number(0.0, MAX_START_S),
        x0_mm=data["x0_mm"].number(-limit_mm, limit_mm),
        step_mm=data["step_mm"].number(
            SPEEDS_MM_PER_S[0] / DEFAULT_FS_HZ, SPEEDS_MM_PER_S[1] / DEFAULT_FS_HZ
        ),
        zero_mm=None if zero is None else zero.number(-limit_mm, limit_mm),
        height_um=unpack(data["height_um"], n, -MAX_HEIGHT_UM, MAX_HEIGHT_UM),
        percent=percent.astype(np.uint8),
        found_lead=found_lead,
        found_start_s=start.number(0.0, MAX_START_S),
        inverted="inverted" in got and got["inverted"].flag(),
    )


def _read_note(value: Value) -> Note:
    got = value.members(("about", "text"), ("code", "parameters"))
    text, about = got["text"].text(1000), got["about"].text(40)
    if "code" in got:
        text = restored(text, got["code"].text(40), got.get("parameters", Value({}, "")).value)
    if not in_own_words(f"{text} {about}"):
        return Note("sidecar", message("remark_left_out"))
    return Note(about, text)


def _with_edited_polylines(sidecar: PageContent, segments: Value, prints: Value) -> PageContent:
    """A polyline that was edited in place becomes redrawn stretches."""
    known = [value.text(20) for value in prints.items(MAX_PIECES)]
    shown = segments.items(MAX_PIECES)
    if len(known) != len(shown):
        raise prints.wrong("must have one item for each segment")
    redraws = list(sidecar.redraw)
    for piece, segment, found in zip(sidecar.pieces, shown, known, strict=True):
        value = Value(segment.value["polyline"], f"{segment.where}.polyline")
        line = np.round(value.line(), 1) + 0.0
        if fingerprint(line) != found:
            redraws += _changed_stretches(piece.id, polyline(piece, sidecar), line)
    return replace(sidecar, redraw=checked_redraws(redraws))


def _changed_stretches(id_: str, old: Points, new: Points) -> list[Redraw]:
    """What must be redrawn for a polyline to become another: from the first to the last change.

    The old ends of that stretch stand beside the new points, so that what was taken off is blank.
    """
    before, after = points_json(old), points_json(new)
    if before == after:
        return []
    shortest = min(len(before), len(after))
    first = next((i for i in range(shortest) if before[i] != after[i]), shortest)
    last = next(
        (i for i in range(shortest - first) if before[-1 - i] != after[-1 - i]), shortest - first
    )
    gap = np.full((1, 2), np.nan)
    gone = old[max(first - 1, 0) : len(before) - max(last - 1, 0)]
    gone = gone[np.isfinite(gone).all(axis=1)]
    drawn = new[max(first - 1, 0) : len(after) - max(last - 1, 0)]
    points = np.concatenate([gone[:1], gap, drawn, gap, gone[-1:]])
    return [Redraw(id_, points)] if np.isfinite(points[:, 0]).sum() >= 2 else []


def _with_edited_layout(sidecar: PageContent, name: Value) -> PageContent:
    if name.word(LAYOUT) == sidecar.layout:
        return sidecar
    return with_layout(sidecar, name.value)
