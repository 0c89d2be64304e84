import json
from pathlib import Path

import click
import pytest

from training.ship import FOLDS, MEMBERS, Step, run_all, trainings
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


def test_each_fold_is_held_out_once_and_one_run_ships(tmp_path: Path) -> None:
    steps, shipped, folds = trainings(tmp_path / "data.h5", tmp_path)
    assert len(shipped) == len(MEMBERS)
    assert len(folds) == len(MEMBERS) * FOLDS
    assert {step.name for step in steps} == {run.name for run in (*shipped, *folds)}
    for step in steps:
        command = {"training.train": train, "training.trees": boost}[step.command[0]]
        parsed = command.make_context(step.name, [*step.command[1:]], resilient_parsing=True)
        assert parsed.params["run"] == tmp_path / step.name
        assert (parsed.params["held_out"] == "none") == (tmp_path / step.name in shipped)


def test_the_shipped_card_is_of_this_recipe(tmp_path: Path) -> None:
    from ecg4u.model.classifier import CARD_NAME, WEIGHTS

    card = json.loads((WEIGHTS / CARD_NAME).read_text())
    steps, _, _ = trainings(tmp_path / "ecg.h5", tmp_path)
    made = {(m["settings"]["network"], m["settings"]["seed"]) for m in card["members"]}
    kinds = {"training.train": "residual", "training.trees": "trees"}
    last = [step.command for step in steps if "none" in step.command]
    assert made == {(kinds[c[0]], int(c[c.index("--seed") + 1])) for c in last}
