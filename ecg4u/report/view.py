"""What the report shows beyond what the explanation already holds as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class FeatureRow:
    """A measured feature ready to be shown: value and unit as text, or the reason for none."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class LeadTable:
    """The same features of each lead: their names with units, and one row of texts a lead."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Facts:
    """Small print: what was read, and by what."""

    rows: tuple[tuple[str, str], ...]
    versions: Mapping[str, str]
