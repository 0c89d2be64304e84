"""Arguments of a wrong kind are told as the typed error of this package, with a remedy."""

from __future__ import annotations

import os
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

from ecg4u.errors import WrongTypeError


def check_number(what: str, value: Any, hint: str) -> None:
    """Raise WrongTypeError where ``value`` is no number."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise wrong(what, "a number", value, hint)


def check_whole(what: str, value: Any, hint: str) -> None:
    """Raise WrongTypeError where ``value`` is no whole number."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise wrong(what, "a whole number", value, hint)


def check_path(what: str, value: Any, hint: str = "Give a str or a pathlib.Path.") -> None:
    """Raise WrongTypeError where ``value`` is no path."""
    if not isinstance(value, (str, os.PathLike)):
        raise wrong(what, "a path", value, hint)


def check_iterable(what: str, value: Any, hint: str) -> None:
    """Raise WrongTypeError where there is nothing to go through."""
    if not isinstance(value, (str, os.PathLike, Iterable)):
        raise wrong(what, "a list", value, hint)


def check_names(what: str, value: Any) -> None:
    """Raise WrongTypeError where ``value`` is no list of names; a string is one name."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        name = value if isinstance(value, str) else "AF"
        raise wrong(what, "a list of names", value, f'For instance {what}=["{name}"].')


def check_kind(what: str, value: Any, kind: type, hint: str) -> None:
    """Raise WrongTypeError where ``value`` is no ``kind``."""
    if not isinstance(value, kind):
        raise wrong(what, f"of type {kind.__name__}", value, hint)


def wrong(what: str, wanted: str, value: Any, hint: str) -> WrongTypeError:
    """The error to raise; it names the type that was given, never the value."""
    return WrongTypeError(f"{what} must be {wanted}, not {type(value).__name__}.", hint=hint)
