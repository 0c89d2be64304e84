"""Breaks ten modules on purpose, one line at a time: do the nearest tests notice?

    python -m tests.mutation                 # the named mutants
    python -m tests.mutation --sample 82     # and 82 drawn ones (numbers, signs, comparisons)
    python -m tests.mutation --sample 82 --only rows/trace    # those of one module; writes no table

Nothing on disk is changed: each mutant lives in a forked process that compiles the broken source
(Linux and macOS). Writes ``benchmarks/results/mutation.md``. A mutant is killed when a test fails.
"""

from __future__ import annotations

import argparse
import ast
import importlib.machinery
import os
import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

ROOT = Path(__file__).parents[1]
OUT = ROOT / "benchmarks" / "results" / "mutation.md"
LONGEST_S = 600
"""A mutant that loops is noticed, too."""

NEAREST = {
    "model/classifier.py": ("tests/model/test_ensemble.py", "tests/model/test_classifier.py"),
    "model/aggregate.py": ("tests/model/test_classifier.py",),
    "explain/global_features.py": ("tests/explain/test_rules.py", "tests/explain/test_features.py"),
    "explain/criteria.py": ("tests/explain/test_rules.py", "tests/explain/test_criteria.py"),
    "explain/limits.py": ("tests/explain/test_rules.py", "tests/explain/test_criteria.py"),
    "explain/measure.py": (
        "tests/explain/test_rules.py",
        "tests/explain/test_beats.py",
        "tests/explain/test_features.py",
    ),
    "explain/neurokit.py": ("tests/explain/test_neurokit.py",),
    "digitize/page/sheet.py": ("tests/digitize/test_page_rules.py",),
    "digitize/rows/stroke.py": (
        "tests/digitize/test_stroke.py",
        "tests/digitize/test_page_rules.py",
        "tests/digitize/test_trace.py",
    ),
    "digitize/signals/einthoven.py": ("tests/digitize/test_einthoven.py",),
    "digitize/signals/signal.py": (
        "tests/digitize/test_signals.py",
        "tests/digitize/test_page_rules.py",
    ),
    "digitize/rows/trace.py": (
        "tests/digitize/test_row_rules.py",
        "tests/digitize/test_page_rules.py",
        "tests/digitize/test_trace.py",
    ),
    "digitize/layout/arrangement.py": (
        "tests/digitize/test_page_rules.py",
        "tests/digitize/test_layout.py",
    ),
    "digitize/page/refine.py": ("tests/digitize/test_grid.py",),
    "digitize/restore.py": ("tests/digitize/test_pipeline.py",),
}
SAMPLED = (
    "model/classifier.py", "model/aggregate.py", "explain/global_features.py",
    "explain/measure.py", "explain/neurokit.py", "digitize/page/sheet.py",
    "digitize/rows/stroke.py",
    "digitize/signals/einthoven.py", "digitize/signals/signal.py", "digitize/rows/trace.py",
)  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """A module of the package (by its path in it), and one change of its source."""

    what: str
    module: str
    old: str
    new: str

    def source(self) -> str:
        """The broken source."""
        text = (ROOT / "ecg4u" / self.module).read_text()
        assert text.count(self.old) == 1, f"{self.what}: not found once in {self.module}"
        return text.replace(self.old, self.new)


@dataclass(frozen=True)
class Drawn:
    """A mutant drawn from a module's syntax tree: its ``n``-th place that can be changed."""

    what: str
    module: str
    text: str

    def source(self) -> str:
        """The broken source."""
        return self.text


NAMED = (
    Mutant("one network answers alone", "model/classifier.py",
           "self.member_log_odds(inputs).mean(axis=0)", "self.member_log_odds(inputs)[0]"),
    Mutant("one network is loaded", "model/classifier.py",
           "for member in members:", "for member in members[:1]:"),
    Mutant("calibration without bias", "model/classifier.py",
           "axis=0) * self._scale + self._bias", "axis=0) * self._scale"),
    Mutant("calibration without scale", "model/classifier.py",
           "axis=0) * self._scale + self._bias", "axis=0) + self._bias"),
    Mutant("Bazett by the cube root", "explain/global_features.py",
           '("qtc_bazett", 1 / 2)', '("qtc_bazett", 1 / 3)'),
    Mutant("normal axis to 100 degrees", "explain/limits.py",
           "AXIS_DEG = (-30, 90)", "AXIS_DEG = (-30, 100)"),
    Mutant("normal axis from -45 degrees", "explain/limits.py",
           "AXIS_DEG = (-30, 90)", "AXIS_DEG = (-45, 90)"),
    Mutant("P onset by the middle lead", "explain/measure.py", '"P on": 0.25', '"P on": 0.5'),
    Mutant("tall beats do not count", "explain/measure.py",
           "(wider or size[i] >= TALL)", "wider"),
    Mutant("an early beat need not be alone", "explain/measure.py",
           "early < EARLY and _lone(rr, i, around)", "early < EARLY"),
    Mutant("wood is paper", "digitize/page/sheet.py", "PAPER_COLOUR = 14.0", "PAPER_COLOUR = 60.0"),
    Mutant("the centre line is not settled", "digitize/rows/stroke.py",
           "    centre = _settled(centre, _nearest(top), _nearest(bottom), pen / 2)\n", ""),
    Mutant("columns never repeat", "digitize/signals/signal.py",
           "if again - later > CLEARLY and again > REPEATED:", "if False:"),
    Mutant("limb leads are not reconciled", "digitize/restore.py",
           "return np.where(signal == read, better, signal)", "return signal"),
    Mutant("names without a place cost nothing", "digitize/layout/arrangement.py",
           "unplaced: float = 0.8", "unplaced: float = 0.0"),
    Mutant("names far from their row cost nothing", "digitize/layout/arrangement.py",
           "far_per_mm: float = 0.1", "far_per_mm: float = 0.0"),
)  # fmt: skip
"""Faults that no test noticed once."""


EQUIVALENT = {
    "@lru_cache": "a cache changes the speed alone",
    "BAND_NODES": "bands change where the work is cut, not what is drawn",
    "len(path.centre)": "a slice ends with its array",
    "np.pad(flat.T": "paper beside paper makes no run of ink",
    "np.maximum(weight": "the settling has converged: the curve moves by 0.00002 px",
    "columns - u * FINE": "the disc is the same on either side",
    "minlength=5": "the largest count is the same however many are counted",
    "BATCH = ": "how many windows are worked on at once changes the speed alone",
    "np.where(found, first, 0)": "where no ink is found the edges are unknown in the end",
    "rr_ms = ": "both entropies are the same whatever the unit",
}
"""Drawn mutants that no test can tell from the code, by a piece of their line, and why. Only those
looked at stand here; they are left out of the count."""


class _Places(ast.NodeTransformer):
    """Counts the places that can be changed, and changes number ``at``."""

    SWAPPED: ClassVar[dict[type, type]] = {
        ast.Lt: ast.GtE, ast.LtE: ast.Gt, ast.Gt: ast.LtE, ast.GtE: ast.Lt,
        ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
    }  # fmt: skip

    def __init__(self, at: int = -1) -> None:
        self.at, self.count, self.said = at, 0, ""

    def _here(self, node: Any) -> bool:
        self.count += 1
        if self.count - 1 != self.at:
            return False
        self.said = f"line {node.lineno}: `{ast.unparse(node)[:60]}`"
        return True

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        number = isinstance(node.value, (int, float)) and not isinstance(node.value, bool)
        if number and self._here(node):
            value: Any = node.value
            return ast.copy_location(ast.Constant(value * 2 + 1), node)
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        if type(node.ops[0]) in self.SWAPPED and self._here(node):
            node.ops[0] = self.SWAPPED[type(node.ops[0])]()
        return self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        if type(node.op) in self.SWAPPED and self._here(node):
            node.op = self.SWAPPED[type(node.op)]()
        return self.generic_visit(node)

    def visit_arguments(self, node: ast.arguments) -> ast.AST:
        return node


def drawn(count: int, seed: int = 0) -> list[Drawn]:
    """``count`` different mutants of the ten modules, in turn as far as a module has places."""
    rng = random.Random(seed)
    texts = {module: (ROOT / "ecg4u" / module).read_text() for module in SAMPLED}
    left = {}
    for module, text in texts.items():
        places = _Places()
        places.visit(ast.parse(text))
        left[module] = rng.sample(range(places.count), places.count)
    out: list[Drawn] = []
    while len(out) < count and any(left.values()):
        out += [_changed(m, texts[m], places.pop()) for m, places in left.items() if places]
    return out[:count]


def _changed(module: str, text: str, place: int) -> Drawn:
    change = _Places(place)
    before = ast.unparse(ast.parse(text))
    after = ast.unparse(ast.fix_missing_locations(change.visit(ast.parse(text))))
    pairs = zip(before.splitlines(), after.splitlines(), strict=True)
    line = next((new.strip() for old, new in pairs if old != new), "")
    return Drawn(f"{change.said} in `{line}`", module, after)


def killed(mutant: Mutant | Drawn) -> bool:
    """Whether a test of the module fails on the mutant."""
    source = mutant.source()
    child = os.fork()
    if child == 0:
        os._exit(_tested(mutant.module, source))
    began = time.monotonic()
    while time.monotonic() - began < LONGEST_S:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status != 0
        time.sleep(0.05)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return True


def _tested(module: str, source: str) -> int:
    import pytest

    path = str(ROOT / "ecg4u" / module)
    usual = importlib.machinery.SourceFileLoader.get_code

    def get_code(self: Any, name: str) -> Any:
        if self.path == path:
            return compile(source, path, "exec")
        return usual(self, name)

    importlib.machinery.SourceFileLoader.get_code = get_code  # type: ignore[method-assign]
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    tests = [str(ROOT / test) for test in NEAREST[module]]
    return int(pytest.main(["-q", "-x", "-p", "no:cacheprovider", *tests]))


def _same(mutant: Mutant | Drawn) -> str:
    """Why a mutant changes nothing; empty where it may."""
    lines = mutant.what.partition(" in `")[2]
    return next((why for piece, why in EQUIVALENT.items() if piece in lines), "")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="mutants whose module's path holds this")
    parser.add_argument("--trust", action="store_true", help="the tests are known to pass")
    given = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    # What every child needs is loaded once; nothing of ecg4u.
    import cv2  # noqa: F401
    import hypothesis  # noqa: F401
    import safetensors.torch  # noqa: F401
    import scipy.ndimage
    import scipy.signal
    import scipy.sparse.linalg  # noqa: F401

    assert "ecg4u" not in sys.modules
    mutants: list[Mutant | Drawn] = [
        m for m in (*NAMED, *drawn(given.sample, given.seed)) if given.only in m.module
    ]
    for module in dict.fromkeys(m.module for m in mutants if not given.trust):
        whole = Drawn("as it is", module, (ROOT / "ecg4u" / module).read_text())
        if killed(whole):
            raise SystemExit(f"The tests nearest to {module} fail before anything is broken.")
    rows: list[tuple[Mutant | Drawn, str]] = []
    for mutant in mutants:
        verdict = "yes" if killed(mutant) else "**no**" if not _same(mutant) else _same(mutant)
        rows.append((mutant, verdict))
        print(verdict, mutant.module, mutant.what, flush=True)
    counted = [verdict for _, verdict in rows if verdict in ("yes", "**no**")]
    dead = counted.count("yes")
    print(f"{dead} of {len(counted)}")
    if given.only:
        return
    lines = [
        f"<!-- python -m tests.mutation --sample {given.sample} --seed {given.seed} -->",
        f"{dead} of {len(counted)} mutants killed ({100 * dead / max(len(counted), 1):.0f} %); "
        f"{len(rows) - len(counted)} more change nothing.",
        "",
        "| module | mutant | killed |",
        "|---|---|---|",
        *(f"| {m.module} | {m.what.replace('|', '/')} | {verdict} |" for m, verdict in rows),
    ]
    OUT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
