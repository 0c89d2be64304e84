"""What a batch makes of each input, which inputs it does, and in what workers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from ecg4u.limits import Limits
from ecg4u.options import FORMATS


@dataclass(frozen=True)
class Options:
    """What to do with each input; a resumed run must have the same options."""

    format: str = "wfdb"
    classify: bool = False
    explain: bool = False
    report: bool = False
    deidentify: bool = False
    sidecars: bool = False
    thumbnails: bool = False
    exports: tuple[str, ...] = ()
    """Any of those of `ecg4u.report.exports`."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for the ledger."""
        return {**asdict(self), "exports": list(self.exports)}


EXPORTS = ("pdf", "dicom", "fhir")
FLAGS: Mapping[str, str] = {
    "classify": "--classify",
    "explain": "--explain",
    "report": "--report",
    "deidentify": "--deidentify",
    "sidecars": "--keep-sidecars",
    "thumbnails": "--sheet",
}
"""Options of the command by the fields of `Options`; formats and exports are named by value."""


def as_flags(options: object) -> str:
    """`Options.to_dict` of a run as one would type it (some imply others); "" for anything else."""
    if not isinstance(options, dict):
        return ""
    flags = [f"--format {name}" for name in FORMATS if options.get("format") == name]
    flags += [flag for name, flag in FLAGS.items() if options.get(name) is True]
    exports = options.get("exports")
    chosen = exports if isinstance(exports, list) else []
    return " ".join([*flags, *(f"--{kind}" for kind in EXPORTS if kind in chosen)])


@dataclass(frozen=True)
class RunOptions:
    """Which inputs a run processes, and when it stops.

    resume : continue the run in the output folder; without it, a folder with a run is refused
    retry_failed : retry inputs that failed (not those that were refused)
    shard : ``(i, n)``: only the i-th of n parts; each part has its own ledger
    corrected : folder of corrected sidecars (``*.page.json``); with ``resume``, pages whose sidecar
        is new or has changed are processed again
    on_error : ``"stop"`` ends the run at the first input that is refused or fails
    """

    resume: bool = False
    retry_failed: bool = False
    shard: tuple[int, int] | None = None
    corrected: str | Path | None = None
    on_error: Literal["skip", "stop"] = "skip"
    quiet: bool = False
    verbose: bool = False


@dataclass(frozen=True)
class Workers(Limits):
    """How many processes work, within which limits of one input.

    jobs : 0 for this process alone, None for one per core
    scheduler : address of a Dask scheduler, ``"local"`` for one on this machine
    """

    jobs: int | None = None
    scheduler: str | None = None
