"""The web page in the language of who asks for it."""

from __future__ import annotations

import html
import json
import re
from functools import cache
from importlib import resources

from ecg4u.texts import DRAFT, catalogue, in_language, translated

_TEXT = re.compile(r">([^<>]*[A-Za-z][^<>]*)<")
_SPOKEN = re.compile(r'(?<= )((?:alt|aria-label|placeholder|title)=")([^"]+)(?=")')


@cache
def page_in(language: str) -> str:
    """``index.html`` in one of `ecg4u.texts.LANGUAGES`, with the texts that its scripts say."""
    page = (resources.files("ecg4u.web") / "static" / "index.html").read_text(encoding="utf-8")
    known = catalogue(language)
    with in_language(language):
        page = _SPOKEN.sub(lambda m: f"{m[1]}{_escaped(m[2])}", page)
        page = _TEXT.sub(lambda m: f">{_escaped(m[1])}<", page)
        draft = f'<p class="quiet">{_escaped(DRAFT)}</p>' if known.draft else ""
    texts = json.dumps(dict(known.texts), ensure_ascii=False).replace("<", "\\u003c")
    held = f'<script type="application/json" id="texts">{texts}</script>'
    page = page.replace('<html lang="en">', f'<html lang="{language}">')
    return page.replace("<!-- draft -->", draft).replace("</head>", f"{held}\n</head>")


def _escaped(text: str) -> str:
    return html.escape(translated(html.unescape(text)), quote=False).replace('"', "&quot;")
