"""The texts of report and web page in other languages: a catalogue for each, keyed by the English.

English stands in the code, as with gettext. A catalogue (``de.json``) holds the interface's own
texts: headings, buttons, labels, classes. What is not in it, such as findings, warnings and
reasons, stays English.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

SOURCE = "en"
LANGUAGES = (SOURCE, "de", "es", "fr", "zh")
DRAFT = "Draft translation, not reviewed. Findings, warnings and reasons are in English."


@dataclass(frozen=True)
class Catalogue:
    """The texts of one language."""

    language: str
    draft: bool = False
    """Whether nobody who knows both the language and ECGs has reviewed it."""
    decimal_mark: str = "."
    texts: Mapping[str, str] = field(default_factory=dict)


_ENGLISH = Catalogue(SOURCE)
_current: ContextVar[Catalogue] = ContextVar("_current", default=_ENGLISH)


@cache
def catalogue(language: str) -> Catalogue:
    """The catalogue of one of `LANGUAGES`."""
    if language == SOURCE:
        return _ENGLISH
    text = (resources.files("ecg4u.texts") / f"{language}.json").read_text(encoding="utf-8")
    held = json.loads(text)
    return Catalogue(language, held["draft"], held["decimal_mark"], held["texts"])


@contextmanager
def in_language(language: str) -> Iterator[Catalogue]:
    """What is built inside is in one of `LANGUAGES`."""
    before = _current.set(catalogue(language))
    try:
        yield _current.get()
    finally:
        _current.reset(before)


def current() -> Catalogue:
    """The catalogue of the language that is built in."""
    return _current.get()


def translated(text: str) -> str:
    """``text`` in the current language where the catalogue has it, with the space around it."""
    words = text.strip()
    found = current().texts.get(words)
    return text if found is None else text.replace(words, found)


def in_digits(number: str) -> str:
    """A number for reading, with the current language's decimal mark."""
    return number.replace(".", current().decimal_mark)


def preferred(accept_language: str) -> str:
    """The best of `LANGUAGES` for an ``Accept-Language`` header (RFC 9110, 12.5.4)."""
    best, weight = SOURCE, 0.0
    for part in accept_language[:1000].split(","):
        name, _, quality = part.partition(";")
        try:
            q = float(quality.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        language = name.strip().lower().split("-")[0]
        if language in LANGUAGES and q > weight:
            best, weight = language, q
    return best
