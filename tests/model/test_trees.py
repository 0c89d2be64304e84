import numpy as np
import pytest
import torch

from ecg4u.model import Classifier, prepare
from ecg4u.model.measures import COUNT, LEVELS, NAMES, measures
from ecg4u.model.networks import answers, build
from ecg4u.model.trees import Trees
from ecg4u.record import LEADS, ECGRecord


def drawn(pr_s: float = 0.16, width_s: float = 0.08, st_mv: float = 0.0) -> torch.Tensor:
    """(1, 24, 1000): beats at 75 a minute with triangles for P, QRS and T in all leads."""
    t = np.arange(1000) / 100
    lead = np.zeros(1000)
    for beat in np.arange(0.6, 9.6, 0.8):
        onset = beat - width_s / 2
        p = onset - pr_s + 0.05
        for at, half, size in ((p, 0.05, 0.15), (beat, width_s / 2, 1.0), (beat + 0.3, 0.07, 0.3)):
            lead += size * np.clip(1 - np.abs(t - at) / half, 0, None)
        lead += np.interp(
            t - beat, [width_s / 2, width_s / 2 + 0.02, 0.2, 0.26], [0, st_mv, st_mv, 0]
        )
    leads = np.tile(lead, (12, 1))
    return torch.from_numpy(np.concatenate([leads, np.ones_like(leads)])[None]).float()


def value(x: torch.Tensor, name: str) -> float:
    return float(measures(x)[0, NAMES.index(name)])


def test_every_measure_has_a_name(normal: ECGRecord) -> None:
    found = measures(torch.from_numpy(prepare(normal).windows()))
    assert found.shape == (1, COUNT)
    assert len(NAMES) == len(set(NAMES)) == COUNT
    missing = {name for name, known in zip(NAMES, found[0].isfinite(), strict=True) if not known}
    assert all(name.endswith(("R time", ": pause")) for name in missing), missing


def test_a_longer_pr_and_a_wider_qrs_are_measured_longer_and_wider() -> None:
    pr = [value(drawn(pr_s=s), "PR from half P") for s in (0.14, 0.20, 0.24)]
    assert pr[1] - pr[0] == pytest.approx(6, abs=1.5)
    assert pr[2] - pr[1] == pytest.approx(4, abs=1.5)
    width = f"QRS at {LEVELS[0]:g}"
    assert value(drawn(width_s=0.16), width) - value(drawn(width_s=0.08), width) == pytest.approx(
        8, abs=2
    )


def test_an_early_beat_of_the_usual_shape_is_told_from_those_around_it() -> None:
    t = np.arange(1000) / 100
    beats = np.arange(0.6, 9.6, 0.8)
    early = beats.copy()
    early[5] -= 0.24
    for times, least, count in ((beats, 0.0, 0), (early, -0.3, 1)):
        lead = sum(np.clip(1 - np.abs(t - beat) / 0.04, 0, None) for beat in times)
        x = np.concatenate([np.tile(lead, (12, 1)), np.ones((12, 1000))])
        x = torch.from_numpy(x[None]).float()
        assert value(x, "earliest of its kind: early") == pytest.approx(least, abs=0.03)
        assert value(x, "early with a pause") == count
    assert value(x, "earliest of its kind: pause") == pytest.approx(0.3, abs=0.03)
    assert value(x, "second of its kind: early") == pytest.approx(0, abs=0.03)


def test_beats_that_are_equally_early_do_not_hang_on_the_batch() -> None:
    """Beats alike in time but not in size, beside a record of twice as many."""
    x = drawn()
    x[:, :12] *= 1 + 0.3 * torch.sin(torch.arange(1000) / 70)
    fast = torch.zeros_like(x)
    fast[:, :12, ::35], fast[:, 12:] = 1, 1
    together = measures(torch.cat([x, fast]))[:1]
    torch.testing.assert_close(together, measures(x), equal_nan=True, atol=1e-4, rtol=1e-4)


def test_a_p_wave_on_the_end_of_t_is_found_by_its_hump() -> None:
    near, far = (value(drawn(pr_s=s), "P hump peak to QRS") for s in (0.16, 0.26))
    assert far - near == pytest.approx(10, abs=1.5)


def test_st_depression_is_told_by_groups_of_leads_and_against_r() -> None:
    lowered = drawn(st_mv=-0.15)
    assert value(lowered, "lateral ST 80") == pytest.approx(-0.15, abs=0.04)
    assert value(lowered, "ST flat and down, leads") == 11
    assert value(lowered, "V5 ST 80 over R") == pytest.approx(-0.15 / 1.1, abs=0.04)
    assert value(drawn(), "ST flat and down, leads") == 0


def test_st_is_measured_in_each_lead_and_over_contiguous_ones() -> None:
    raised, lowered = drawn(st_mv=0.2), drawn(st_mv=-0.15)
    assert value(raised, "V3 ST 60") == pytest.approx(0.2, abs=0.05)
    assert value(raised, "ST up, pairs") == pytest.approx(0.2, abs=0.05)
    assert value(lowered, "ST down, pairs") == pytest.approx(-0.15, abs=0.05)


def test_a_masked_lead_has_no_measures_and_the_others_keep_theirs() -> None:
    x = drawn()
    hidden = x.clone()
    lead = LEADS.index("V3")
    hidden[:, [lead, 12 + lead]] = 0
    found, whole = measures(hidden)[0], measures(x)[0]
    own = [i for i, name in enumerate(NAMES) if name.startswith("V3 ")]
    others = [i for i, name in enumerate(NAMES) if name.split()[0] in set(LEADS) - {"V3"}]
    assert found[own].isnan().all()
    assert torch.allclose(found[others], whole[others], atol=0.02)


def test_sharing_the_beats_changes_no_answer(classifier: Classifier, normal: ECGRecord) -> None:
    x = torch.from_numpy(prepare(normal).windows())
    members = list(classifier._members)
    assert {type(net).__name__ for net in members} == {"ECGNet", "Trees"}
    with torch.inference_mode():
        for shared, net in zip(answers(members, x), members, strict=True):
            assert torch.equal(shared, net(x))


def test_nothing_at_all_is_borne(normal: ECGRecord) -> None:
    network = build({"kind": "trees", "trees": 3})
    assert torch.isfinite(network(torch.zeros(2, 24, 1000))).all()


def test_a_node_asks_and_a_leaf_answers() -> None:
    network = build({"kind": "trees", "outputs": 1, "trees": 2, "nodes": 3, "depth": 2})
    assert isinstance(network, Trees)
    network.measure[0, :, 0] = torch.tensor([5, 7])
    network.threshold[0, :, 0] = torch.tensor([0.5, -1.0])
    network.left[0] = torch.tensor([1, 1, 2])
    network.right[0] = torch.tensor([2, 1, 2])
    network.unknown_left[0, 1, 0] = True
    network.value[0] = torch.tensor([[0, 1, 10], [0, 100, 1000]])
    network.start[0] = 0.25
    values = torch.zeros(3, COUNT)
    values[1, 5], values[1, 7] = 0.6, -2.0
    values[2, 5], values[2, 7] = torch.nan, torch.nan
    assert network.from_measures(values)[:, 0].tolist() == [1001.25, 110.25, 110.25]
