"""Building HTML and SVG so that nothing can be forgotten to be escaped, or to be translated.

`Markup` is text that is known to be markup; every other string is escaped on its way in, in the
language of `ecg4u.texts.in_language` where its catalogue has it.
"""

from __future__ import annotations

import html
from collections.abc import Iterable

from ecg4u.texts import translated

Attribute = str | float | int | bool | None

VOID = frozenset({"area", "br", "col", "hr", "img", "input", "link", "meta", "wbr"})
"""HTML elements that have no end tag."""

SPOKEN = frozenset({"alt", "aria-label", "placeholder", "title"})
"""Attributes that a person reads or hears."""


class Markup(str):
    """A string that is markup already."""

    __slots__ = ()


Child = str | Markup | int | float | None


def escape(text: object) -> Markup:
    """``text`` as markup: unchanged if it is `Markup`, else with ``& < > " '`` escaped."""
    if isinstance(text, Markup):
        return text
    return Markup(html.escape(translated(str(text)), quote=True))


def join(children: Iterable[Child], separator: str = "") -> Markup:
    """Children one after the other, each escaped unless it is markup; None is left out."""
    return Markup(separator.join(escape(child) for child in children if child is not None))


def tag(
    name: str, *children: Child, attrs: dict[str, Attribute] | None = None, cls: str = ""
) -> Markup:
    """One element with its escaped attributes and children.

    An attribute of None or False is left out and one of True stands without a value.
    """
    shown = {"class": cls, **(attrs or {})} if cls else (attrs or {})
    head = "".join(_attribute(key, value) for key, value in shown.items())
    if name in VOID:
        return Markup(f"<{name}{head}>")
    return Markup(f"<{name}{head}>{join(children)}</{name}>")


def page(title: str, style: str, *body: Child) -> str:
    """A whole HTML document, with its style sheet inside."""
    head = tag(
        "head",
        tag("meta", attrs={"charset": "utf-8"}),
        tag("title", title),
        tag("meta", attrs={"name": "viewport", "content": "width=device-width"}),
        Markup(f"<style>{style}</style>"),
    )
    return f"<!doctype html>\n{tag('html', head, tag('body', *body), attrs={'lang': 'en'})}\n"


def _attribute(key: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    if value is True:
        return f" {key}"
    text = number(value) if isinstance(value, float) else str(value)
    if key in SPOKEN:
        text = translated(text)
    return f' {key}="{html.escape(text, quote=True)}"'


def number(value: float, digits: int = 2) -> str:
    """``value`` with at most ``digits`` decimals and no trailing zeros: short, stable bytes."""
    text = f"{value:.{digits}f}".rstrip("0").rstrip(".") if digits else f"{value:.0f}"
    return "0" if text in ("-0", "") else text
