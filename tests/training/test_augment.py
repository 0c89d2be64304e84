import numpy as np
import pytest
import torch

from ecg4u.model.prepare import from_leads
from training.augment import (
    FULL,
    STANDARD_COLUMNS,
    Augmentation,
    augment,
    centred,
    column_mask,
    mixed,
    page_mask,
)


def batch(n: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    leads = torch.randn(n, 12, 1000, generator=generator)
    return leads, torch.ones(n, 12, 1000)


def test_a_3x4_page_shows_each_lead_for_its_quarter_and_the_strip_throughout() -> None:
    mask = column_mask(STANDARD_COLUMNS, ("II",), 1000)
    assert mask[1].all()
    np.testing.assert_array_equal(np.flatnonzero(mask[0]), np.arange(250))
    np.testing.assert_array_equal(np.flatnonzero(mask[11]), np.arange(750, 1000))


def test_random_pages_show_something_and_come_in_several_kinds() -> None:
    rng = np.random.default_rng(0)
    shares = [page_mask(rng, 1000, Augmentation()).mean() for _ in range(300)]
    assert min(shares) > 0
    assert 0.15 < np.mean(np.array(shares) < 0.5) < 0.75
    assert np.mean(np.array(shares) == 1) > 0.1


def test_hidden_samples_are_zero_and_visible_medians_are_zero() -> None:
    x = augment(*batch(), np.random.default_rng(1), Augmentation())
    leads, masks = x[:, :12], x[:, 12:]
    assert torch.isfinite(x).all()
    assert not leads[masks == 0].any()
    seen = torch.where(masks > 0, leads, torch.nan)
    assert seen.nanmedian(dim=2).values.nan_to_num().abs().max() < 0.2


def test_without_options_only_the_centre_moves() -> None:
    leads, masks = batch()
    x = augment(leads, masks, np.random.default_rng(1), FULL)
    torch.testing.assert_close(x, centred(leads, masks))


def test_training_and_inference_centre_alike() -> None:
    t = np.arange(1000) / 100
    leads = np.tile(np.sin(t) + 0.3, (12, 1))
    ours = centred(torch.from_numpy(leads[None]).float(), torch.ones(1, 12, 1000))[0]
    assert np.abs(ours.numpy() - from_leads(leads).channels).max() < 0.01


def test_the_same_seed_gives_the_same_batch() -> None:
    one = augment(*batch(), np.random.default_rng(3), Augmentation())
    other = augment(*batch(), np.random.default_rng(3), Augmentation())
    assert torch.equal(one, other)


def test_mixup_keeps_the_unknown_unknown() -> None:
    x = torch.cat(batch(4), dim=1)
    y = torch.tensor([[1.0], [0.0], [float("nan")], [0.0]])
    mixed_x, mixed_y = mixed(x, y, np.random.default_rng(0))
    assert mixed_x.shape == x.shape
    assert mixed_y.isnan().any()
    assert ((mixed_y >= 0) | mixed_y.isnan()).all()


@pytest.mark.parametrize("factor", [0.97, 1.03])
def test_tempo_keeps_the_length(factor: float) -> None:
    from training.augment import _stretch

    leads, masks = _stretch(*batch(2), factor)
    assert leads.shape == masks.shape == (2, 12, 1000)
    assert (leads[masks == 0] == 0).all()
