"""The catalogues of report and web page: whole, used, and in their places."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from ecg4u.report.names import CLASS_TITLES, SECTIONS
from ecg4u.texts import LANGUAGES, SOURCE, catalogue, in_digits, in_language, preferred, translated
from ecg4u.web.shell import page_in

PACKAGE = Path(__file__).parents[1] / "ecg4u"
OTHERS = [language for language in LANGUAGES if language != SOURCE]
SAME = {"ecg4u", "−", "+", "5 mm/mV", "10 mm/mV", "20 mm/mV", "25 mm/s", "50 mm/s"}
"""Texts of the page that are the same in all languages."""
KEPT = {"QRS", "ST-T"}


class Texts(HTMLParser):
    """What a person reads or hears of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside = tag
        spoken = ("alt", "aria-label", "placeholder", "title")
        self.found += [value for name, value in attrs if name in spoken and value]

    def handle_data(self, data: str) -> None:
        if data.strip() and self.inside != "script":
            self.found.append(data.strip())


def texts_of(page: str) -> list[str]:
    reader = Texts()
    reader.feed(page)
    return reader.found


@pytest.mark.parametrize("language", OTHERS)
def test_every_language_has_every_text_with_its_places(language: str) -> None:
    texts = catalogue(language).texts
    assert set(texts) == set(catalogue(OTHERS[0]).texts)
    for english, other in texts.items():
        assert other.strip() == other != ""
        assert other.count("{}") == english.count("{}")
        assert not set("<>") & set(other)


@pytest.mark.parametrize("language", OTHERS)
def test_no_text_of_the_page_stays_english(language: str) -> None:
    english = [text for text in texts_of(page_in(SOURCE)) if text not in SAME]
    texts = catalogue(language).texts
    assert [text for text in english if text not in texts] == []
    shown = texts_of(page_in(language))
    for text in english:
        assert texts[text] in shown
    assert f'<html lang="{language}">' in page_in(language)


def test_what_the_scripts_say_is_in_the_catalogue() -> None:
    static = PACKAGE / "web" / "static"
    scripts = "".join((static / name).read_text() for name in ("app.js", "correct.js"))
    said = re.findall(r'\bt\("([^"]+)"', scripts)
    assert len(said) > 25
    assert set(said) <= set(catalogue("de").texts)


def test_the_reports_classes_and_sections_are_in_the_catalogue() -> None:
    assert {*CLASS_TITLES.values(), *SECTIONS} - KEPT <= set(catalogue("de").texts)


def test_no_text_is_kept_that_nothing_says() -> None:
    names = ("*.py", "*.html", "*.js")
    source = "".join(path.read_text() for name in names for path in PACKAGE.rglob(name))
    joined = re.sub(r'"\s*\n\s*f?"', "", source)
    corners = {f"{end} {side} corner; move with the arrow keys"
               for end in ("Top", "Bottom") for side in ("left", "right")}  # fmt: skip
    made = {*CLASS_TITLES.values(), *corners}
    assert [text for text in catalogue("de").texts if text not in joined and text not in made] == []


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("de-CH,de;q=0.9,en;q=0.8", "de"),
        ("it,fr;q=0.4,en;q=0.9", "en"),
        ("zh-Hans-CN", "zh"),
        ("fr;q=0, en;q=0.1", "en"),
        ("de;q=x, *;q=0.5", "en"),
    ],
)
def test_the_language_that_a_browser_prefers(header: str, language: str) -> None:
    assert preferred(header) == language


def test_words_and_digits_follow_the_language_only_inside() -> None:
    with in_language("de"):
        assert (translated(" likely "), in_digits("1.5")) == (" wahrscheinlich ", "1,5")
    assert (translated("likely"), in_digits("1.5")) == ("likely", "1.5")
