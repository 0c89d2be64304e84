import numpy as np
import pytest
import torch

from ecg4u.model import prepare
from ecg4u.model.beats import BEFORE, cut_beats, find_beats, lay_over, median_beat, rhythm
from ecg4u.model.measures import measures
from ecg4u.model.networks import build
from ecg4u.record import ECGRecord


def spikes(at: list[int], samples: int = 1000) -> tuple[torch.Tensor, torch.Tensor]:
    """(1, 12, samples) of narrow triangles of lead-dependent height at ``at``."""
    leads = torch.zeros(1, 12, samples)
    for sample in at:
        leads[..., sample - 2 : sample + 3] += torch.tensor([0.3, 0.7, 1.0, 0.7, 0.3])
    return leads * torch.linspace(0.2, 2, 12)[None, :, None], torch.ones_like(leads)


def test_beats_are_found_where_they_are() -> None:
    at = [60, 150, 240, 300, 440, 530, 900]
    found, real = find_beats(*spikes(at))
    assert np.abs(found[real].numpy() - at).max() <= 2


def test_a_page_of_columns_loses_no_beat(normal: ECGRecord) -> None:
    x = torch.from_numpy(prepare(normal).windows())
    whole, real = find_beats(x[:, :12], x[:, 12:])
    masks = torch.zeros(1, 12, 1000)
    for column in range(4):
        masks[:, 3 * column : 3 * column + 3, 250 * column : 250 * column + 250] = 1
    cut, still = find_beats(x[:, :12] * masks, masks)
    assert still.sum() == real.sum()
    assert (cut[still] - whole[real]).abs().max() <= 4


def test_the_median_beat_leaves_an_odd_beat_out() -> None:
    leads, masks = spikes([100, 200, 300, 400, 500])
    leads[..., 290:310] *= -2
    at = torch.tensor([[100, 200, 300, 400, 500]])
    beats, known = cut_beats(leads, at), cut_beats(masks, at)
    middle, spread = median_beat(beats, known)
    torch.testing.assert_close(middle[0, :, BEFORE], leads[0, :, 100])
    assert (spread[0, :, BEFORE] > 0).all()


def test_a_beat_cut_off_by_an_end_is_left_out() -> None:
    leads, masks = spikes([4, 150, 250, 350, 450, 996])
    found, real = find_beats(leads, masks)
    kept = lay_over(torch.cat([leads, masks], dim=1)).real
    assert found[real].tolist()[0] < 8
    assert real.sum() == 6
    assert kept[0, :6].tolist() == [False, True, True, True, True, False]


def test_an_early_beat_shows_in_the_rhythm() -> None:
    at = torch.tensor([[100, 200, 260, 400, 500]])
    each, whole = rhythm(at, torch.ones(1, 5, dtype=torch.bool))
    assert each[0, 2, 0] == pytest.approx(-0.4)
    assert each[0, 2, 1] == pytest.approx(0.4)
    assert each[0, 0, 3:].tolist() == [0, 1]
    regular = rhythm(torch.tensor([[100, 200, 300, 400, 500]]), torch.ones(1, 5, dtype=torch.bool))
    assert whole[0, 2] > 10 * regular[1][0, 2]


def test_a_network_ignores_what_is_masked_and_bears_nothing() -> None:
    torch.manual_seed(0)
    network = build({"outputs": 9}).eval()
    leads, masks = spikes([100, 200, 300, 400])
    masks[:, 4:] = 0
    one = network(torch.cat([leads, masks], dim=1))
    leads[:, 4:] = 7
    torch.testing.assert_close(network(torch.cat([leads, masks], dim=1)), one)
    assert torch.isfinite(network(torch.zeros(2, 24, 1000))).all()


def test_a_record_is_measured_the_same_in_any_batch() -> None:
    rows = [list(range(60, 60 + 80 * n, 80)) for n in range(5, 12)]
    x = torch.cat([torch.cat(spikes(row), dim=1) for row in rows])
    alone, among = measures(x[3:4]), measures(x)[3:4]
    torch.testing.assert_close(among, alone, rtol=1e-4, atol=1e-5, equal_nan=True)
