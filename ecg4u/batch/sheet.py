"""The contact sheet of a batch: which of these pages must a person look at?"""

from __future__ import annotations

import io
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecg4u.analysis import NOTICE
from ecg4u.batch.ledger import read_entries
from ecg4u.batch.manifest import rows
from ecg4u.io import write_atomically
from ecg4u.report.markup import Markup, join, tag
from ecg4u.words import SIGNAL

if TYPE_CHECKING:
    from ecg4u.analysis import Analysis

SHEET_NAME = "contact-sheet.html"
THUMBNAIL_NAME = "thumbnail.webp"
THUMBNAIL_PX = 480
STYLE = """
:root { color-scheme: light dark }
body { font: 15px/1.4 system-ui, sans-serif; margin: 1rem }
h1 { font-size: 1.4rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .4rem .6rem }
tr { border-bottom: 1px solid #8885 }
th button { font: inherit; font-weight: 600; background: none; border: 0; color: inherit }
img { width: 240px; height: auto; display: block; background: #fff }
.look { font-weight: 650; color: #b34d00 }
code { display: block; font-weight: 400; overflow-wrap: anywhere; user-select: all; cursor: copy }
small { color: #767069; display: block }
td span { display: block }
label { display: inline-flex; gap: .4rem; min-height: 2.75rem; align-items: center }
@media (max-width: 45rem) {
  tbody, tr, td { display: block }
  tr[hidden], td:empty { display: none }
  thead tr { display: flex; flex-wrap: wrap }
  th { padding: .2rem .4rem }
  td { padding: .15rem 0; overflow-wrap: anywhere }
  tr { padding: .6rem 0 }
  img { width: 100%; max-width: 480px }
}
"""
SCRIPT = """
"use strict";
const body = document.querySelector("tbody");
document.querySelectorAll("th button").forEach((button, column) => {
  let turn = 1;
  button.addEventListener("click", () => {
    const key = (row) => row.cells[column].dataset.key || row.cells[column].textContent;
    const order = new Intl.Collator("en", { numeric: true });
    body.append(...[...body.rows].sort((a, b) => turn * order.compare(key(a), key(b))));
    turn = -turn;
  });
});
document.querySelector("input").addEventListener("change", (event) => {
  for (const row of body.rows) row.hidden = event.target.checked && !row.dataset.look;
});
"""


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
    pages = sorted(rows(read_entries(out)), key=lambda row: (-urgency(row)[0], row["input"]))
    looked = sum(urgency(row)[0] > 0 for row in pages)
    heads = ("Page", "Input", "Look", "Grade", "Findings", "Warnings")
    head = tag("tr", *(tag("th", tag("button", text, attrs={"type": "button"})) for text in heads))
    table = tag("table", tag("thead", head), tag("tbody", *(_row(out, row) for row in pages)))
    title = f"{len(pages)} page{'' if len(pages) == 1 else 's'}, {looked} to look at"
    only = tag("label", tag("input", attrs={"type": "checkbox"}), "Only those to look at")
    document = tag(
        "html",
        tag("head", tag("meta", attrs={"charset": "utf-8"}), tag("title", title),
            tag("meta", attrs={"name": "viewport", "content": "width=device-width"}),
            Markup(f"<style>{STYLE}</style>")),
        tag("body", tag("main", tag("h1", title), tag("small", NOTICE), only, table),
            Markup(f"<script>{SCRIPT}</script>")),
        attrs={"lang": "en"},
    )  # fmt: skip
    return write_atomically(out / SHEET_NAME, f"<!doctype html>\n{document}\n")


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
