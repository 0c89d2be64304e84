from pathlib import Path
from typing import Any

import click
import pytest

from training.export import main as export
from training.folds import HELD_OUT, run_of
from training.ship import Step, exporting, run_all, trainings
from training.train import main as train
from training.trees import main as boost


def writes(name: str, folder: Path) -> Step:
    """Appends a line to a file, so that a second run would show."""
    code = f"open({str(folder / name)!r}, 'a').write('once\\n')"
    return Step(name, ("timeit", "-n1", "-r1", code))


def test_a_step_that_has_ended_is_not_repeated(tmp_path: Path) -> None:
    steps = [writes("a", tmp_path), writes("b", tmp_path)]
    first = run_all(steps, tmp_path, 2)
    (tmp_path / "b.done").unlink()
    again = run_all(steps, tmp_path, 2)
    assert (tmp_path / "a").read_text() == "once\n"
    assert (tmp_path / "b").read_text() == "once\nonce\n"
    assert again["a"] == pytest.approx(first["a"], abs=0.06)


def test_a_step_with_another_command_is_run(tmp_path: Path) -> None:
    run_all([writes("a", tmp_path)], tmp_path, 1)
    run_all([Step("a", writes("other", tmp_path).command)], tmp_path, 1)
    assert (tmp_path / "other").read_text() == "once\n"


def test_a_step_that_fails_says_where_its_log_is(tmp_path: Path) -> None:
    with pytest.raises(click.ClickException, match=r"see .*broken\.log"):
        run_all([Step("broken", ("no_such_module",))], tmp_path, 1)
    log = (tmp_path / "broken.log").read_text()
    assert log.startswith("python -m no_such_module")
    assert "No module named no_such_module" in log
    assert not (tmp_path / "broken.done").exists()


def test_each_fold_is_held_out_once_and_taught_by_the_trees_of_its_own(tmp_path: Path) -> None:
    trees, networks = trainings(tmp_path / "data.h5", tmp_path)
    for held in HELD_OUT:
        run_of(tmp_path / "trees", held).mkdir()
        run_of(tmp_path / "network", held).mkdir()
    assert len(trees) == len(networks) == len(HELD_OUT)
    command = {"training.train": train, "training.trees": boost, "training.export": export}

    def options(step: Step) -> dict[str, Any]:
        made = command[step.command[0]]
        return made.make_context(step.name, [*step.command[1:]], resilient_parsing=True).params

    boosted = {
        run_of(given["run"], part): part for given in map(options, trees) for part in given["parts"]
    }
    learned = {given["run"]: given for given in map(options, networks)}
    for given in learned.values():
        assert boosted[given["teacher"]] == given["held_out"]
    last = options(exporting(tmp_path / "data.h5", tmp_path, tmp_path / "out"))
    assert set(last["runs"]) | set(last["folds"]) == set(boosted) | set(learned)
    assert all(run.name in ("trees", "network") for run in last["runs"])
    assert sum(given["held_out"] == "none" for given in learned.values()) == 1
