"""A room imports only rooms below it, and nothing heavy is loaded before it is used."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOMS = (
    "_version",
    "errors",
    "arguments",
    "memory",
    "limits",
    "cores",
    "options",
    "_options",
    "notebook",
    "exchange",
    "record",
    "runs",
    "words",
    "messages",
    "texts",
    "compare",
    "paper",
    "io",
    "digitize",
    "sources",
    "model",
    "explain",
    "analysis",
    "report",
    "batch",
    "cohort",
    "web",
    "cli",
)
INSIDE_DIGITIZE = (
    "types",
    "networks",
    "page",
    "rows",
    "text",
    "scale",
    "signals",
    "layout",
    "sidecar",
    "describe",
    "result",
    "overlay",
    "gridless",
    "rectify",
    "orientation",
    "restore",
    "pipeline",
)
"""The order of rooms and files in `ecg4u.digitize`."""
PACKAGE = Path(__file__).parents[1] / "ecg4u"
HEAVY = (
    "torch",
    "onnxruntime",
    "cv2",
    "scipy",
    "shap",
    "neurokit2",
    "matplotlib",
    "pandas",
    "skimage",
)


def _room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _run(path: Path) -> list[ast.AST]:
    """What of a file runs; what only type checkers see does not."""
    tree = ast.parse(path.read_text())
    hidden = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    return [node for node in ast.walk(tree) if id(node) not in hidden]


def _imports(path: Path) -> set[str]:
    """Rooms that a file imports when it runs; what only type checkers see does not count."""
    found = set()
    for node in _run(path):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            parts = name.split(".")
            assert parts[0] != "training", f"{path} imports training"
            if parts[0] == "ecg4u" and len(parts) > 1:
                found.add(parts[1])
    return found


FILES = sorted(
    path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py" or path.parent != PACKAGE
)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_room_imports_only_rooms_below(path: Path) -> None:
    room = _room(path)
    above = {other for other in _imports(path) if ROOMS.index(other) > ROOMS.index(room)}
    if room == "cli":
        above -= {"batch", "web"}
    assert not above, f"{room} imports {above}"


@pytest.mark.parametrize("module", ["ecg4u", "ecg4u.cli", "ecg4u.digitize", "ecg4u.explain"])
def test_nothing_heavy_is_loaded_by_an_import(module: str) -> None:
    code = f"import sys, {module}; print([m for m in {HEAVY!r} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "package",
    ["cv2", "skimage", "scipy", "numpy", "torch", "h5py", "neurokit2", "shap", "click", "wfdb"],
)
def test_the_package_uses_what_it_depends_on(package: str) -> None:
    found = {
        name.split(".")[0]
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert package in found


@pytest.mark.parametrize(
    "path",
    [p for p in (PACKAGE / "digitize").rglob("*.py") if p.parent.parent != PACKAGE.parent],
    ids=lambda p: str(p.relative_to(PACKAGE)),
)
def test_a_room_of_the_digitizer_imports_only_rooms_below(path: Path) -> None:
    parts = path.relative_to(PACKAGE / "digitize").parts
    if parts == ("__init__.py",):
        return
    room = INSIDE_DIGITIZE.index(parts[0].removesuffix(".py"))
    above = {
        name
        for name in _inside(path)
        if name in INSIDE_DIGITIZE and INSIDE_DIGITIZE.index(name) > room
    }
    assert not above


def _inside(path: Path) -> set[str]:
    """Rooms and files of the digitizer that one of its files imports."""
    found = set()
    for node in _run(path):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ecg4u.digitize"):
            names = (node.module or "").split(".")[2:3] or [alias.name for alias in node.names]
            found |= set(names)
    return found


def _graph(package: Path) -> dict[str, set[str]]:
    """Which modules of a package import which of its modules, inside functions too."""
    files = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    graph = {}
    for module, path in files.items():
        names = set()
        for node in _run(path):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert not node.level, f"{path} imports relatively"
                whole = [f"{node.module}.{alias.name}" for alias in node.names]
                names |= {name if name in files else name.rpartition(".")[0] for name in whole}
        graph[module] = names & set(files)
    return graph


def _circle(graph: Mapping[str, set[str]]) -> list[str]:
    """A circle of imports; empty where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


@pytest.mark.parametrize("package", ["ecg4u", "training"])
def test_no_circle_of_imports(package: str) -> None:
    graph = _graph(PACKAGE.parent / package)
    assert len(graph) > 10
    assert _circle(graph) == []


def test_a_circle_hidden_in_a_function_is_found(tmp_path: Path) -> None:
    package = tmp_path / "made"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "above.py").write_text("from made.below import fact\n")
    (package / "below.py").write_text("fact = 1\n\ndef f():\n    from made import above\n")
    assert _circle(_graph(package)) == ["made.above", "made.below", "made.above"]
    (package / "below.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import made.above\n"
    )
    assert _circle(_graph(package)) == []
