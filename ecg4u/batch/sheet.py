"""The contact sheet of a batch: which of these pages must a person look at?"""

from __future__ import annotations

import io
import shlex
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecg4u.analysis import NOTICE
from ecg4u.batch.ledger import Entries
from ecg4u.batch.manifest import rows
from ecg4u.io import write_atomically
from ecg4u.report.markup import Markup, join, page, tag
from ecg4u.words import SIGNAL

if TYPE_CHECKING:
    from ecg4u.analysis import Analysis

SHEET_NAME = "contact-sheet.html"
THUMBNAIL_NAME = "thumbnail.webp"
THUMBNAIL_PX = 480


def thumbnail(analysis: Analysis) -> bytes | None:
    """The page with its traces as a small WebP; None where there is no page."""
    if analysis.digitization is None:
        return None
    from PIL import Image

    from ecg4u.digitize.overlay import overlay_png

    picture = Image.open(io.BytesIO(overlay_png(analysis.digitization))).convert("RGB")
    picture.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    stream = io.BytesIO()
    picture.save(stream, format="WEBP", quality=70, method=4)
    return stream.getvalue()


def write_sheet(out: Path) -> Path:
    """Write ``contact-sheet.html``: a row per page, those that need a look first."""
    pages = sorted(rows(Entries(out)), key=lambda row: (-urgency(row)[0], row["input"]))
    looked = sum(urgency(row)[0] > 0 for row in pages)
    heads = ("Page", "Input", "Look", "Grade", "Findings", "Warnings")
    head = tag("tr", *(tag("th", tag("button", text, attrs={"type": "button"})) for text in heads))
    table = tag("table", tag("thead", head), tag("tbody", *(_row(out, row) for row in pages)))
    title = f"{len(pages)} page{'' if len(pages) == 1 else 's'}, {looked} to look at"
    only = tag("label", tag("input", attrs={"type": "checkbox"}), "Only those to look at")
    style, script = (
        (resources.files("ecg4u.batch") / name).read_text(encoding="utf-8")
        for name in ("sheet.css", "sheet.js")
    )
    main = tag("main", tag("h1", title), tag("small", NOTICE), only, table)
    document = page(title, style, main, Markup(f"<script>{script}</script>"))
    return write_atomically(out / SHEET_NAME, document)


def urgency(row: dict[str, Any]) -> tuple[int, str]:
    """How much a page needs a look (0: it does not), and why."""
    if row.get("urgent"):
        return 4, "urgent finding"
    if row["status"] != "done":
        return 3, f"{row['status']}: {row['message'] or ''}"
    if row.get("grade") == "poor" or row.get("signal") == SIGNAL["unreadable"]:
        return 2, "poorly read"
    if row.get("grade") == "fair" or row.get("signal") == SIGNAL["uncertain"]:
        return 1, "read with reservations"
    return 0, ""


def _row(out: Path, row: dict[str, Any]) -> Markup:
    rank, why = urgency(row)
    folder = row["folder"]
    picture = folder and (out / folder / THUMBNAIL_NAME).exists()
    image = tag("img", attrs={"src": f"{folder}/{THUMBNAIL_NAME}", "loading": "lazy", "alt": ""})
    links = [
        tag("a", words, attrs={"href": f"{folder}/{name}"})
        for name, words in (("report.html", "report"), ("signals.page.json", "sidecar"))
        if folder and (out / folder / name).exists()
    ]
    correct = tag("code", f"ecg4u fix {shlex.quote(row['input'])}") if rank and picture else None
    warnings = row.get("warning_texts") or ""
    return tag(
        "tr",
        tag("td", image if picture else ""),
        tag("td", row["input"], tag("small", join(links, " ")) if links else None),
        tag("td", why, correct, cls="look" if rank else "", attrs={"data-key": str(9 - rank)}),
        tag("td", row.get("grade") or ""),
        tag("td", row.get("headline") or ""),
        tag("td", *(tag("span", text) for text in warnings.split(" | ")) if warnings else ()),
        attrs={"data-look": "1" if rank else None},
    )
