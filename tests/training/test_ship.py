from pathlib import Path

import click
import pytest

from training.additive import main as fit
from training.folds import FOLDS, HELD_OUT
from training.ship import BESIDE_KEPT, OF_MEASURES, Step, run_all, trainings
from training.train import main as train
from training.trees import main as boost
from training.trees import run_of


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


@pytest.mark.parametrize("keeps", [False, True])
def test_each_fold_is_held_out_once_and_one_run_ships(keeps: bool, tmp_path: Path) -> None:
    kept = tmp_path if keeps else None
    steps, shipped, folds = trainings(tmp_path / "data.h5", tmp_path, kept)
    trees = len(BESIDE_KEPT if keeps else OF_MEASURES)
    assert len(shipped) == trees + (not keeps)
    assert len(folds) == (trees + (not keeps)) * FOLDS
    made = []
    for step in steps:
        command = {
            "training.train": train,
            "training.trees": boost,
            "training.additive": fit,
        }
        context = command[step.command[0]].make_context(
            step.name, [*step.command[1:]], resilient_parsing=True
        )
        run, parts = context.params["run"], context.params.get("parts")
        if parts is not None:
            assert parts == HELD_OUT
            made += [run_of(run, part) for part in parts]
        else:
            made.append(run)
            assert (context.params.get("held_out", "none") == "none") == (run in shipped)
    assert sorted(made) == sorted([*shipped, *folds])
