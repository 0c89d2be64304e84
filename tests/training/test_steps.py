from pathlib import Path

import pytest
import torch

from training.steps import take_steps


def fitted(checkpoint: Path, steps: int, fails_at: int | None = None) -> tuple[torch.Tensor, float]:
    """Weights and last loss of a line fitted to points that hang on the number of the step."""
    torch.manual_seed(0)
    net = torch.nn.Linear(1, 1)
    optimiser = torch.optim.AdamW(net.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.1, total_steps=101)

    def loss_of(step: int) -> torch.Tensor:
        if step == fails_at:
            raise KeyboardInterrupt
        x = torch.linspace(-1, 1, 8)[:, None] + step % 3
        loss: torch.Tensor = (net(x) - 2 * x - 1).square().mean()
        return loss

    losses = take_steps(
        net, optimiser, schedule, loss_of, steps=steps, checkpoint=checkpoint, limit=5.0
    )
    assert len(losses) == steps
    return net.weight.detach().clone(), losses[-1]


def test_steps_go_on_from_their_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, loss = fitted(tmp_path / "whole.pt", 60)
    assert loss < 0.2
    monkeypatch.setattr("training.steps.KEPT_EVERY_S", -1.0)
    with pytest.raises(KeyboardInterrupt):
        fitted(tmp_path / "killed.pt", 60, fails_at=35)
    resumed, _ = fitted(tmp_path / "killed.pt", 60)
    assert torch.equal(resumed, whole)
    assert not list(tmp_path.glob("*.new"))
