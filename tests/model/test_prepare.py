import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg4u.errors import UnreadableInputError
from ecg4u.model.prepare import CLIP_MV, from_leads, prepare, resample
from ecg4u.record import ECGRecord


def sine(fs: float, hz: float, seconds: float = 10.0) -> np.ndarray:
    t = np.arange(round(fs * seconds)) / fs
    return np.sin(2 * np.pi * hz * t)


@pytest.mark.parametrize("fs", [100.0, 250.0, 257.3, 360.0, 500.0, 1000.0])
def test_a_slow_sine_keeps_its_amplitude_and_phase_at_any_rate(fs: float) -> None:
    out = resample(sine(fs, 5.0)[None], fs)[0]
    want = sine(100.0, 5.0)[: len(out)]
    assert len(out) == 1000
    assert np.abs(out - want)[20:-20].max() < 0.02


def test_what_lies_above_the_new_nyquist_rate_does_not_alias() -> None:
    out = resample(sine(500.0, 95.0)[None], 500.0)[0]
    assert np.abs(out[20:-20]).max() < 0.01


@pytest.mark.parametrize("fs", [100.0, 257.3, 500.0])
def test_the_low_pass_weighs_every_sample_around(fs: float) -> None:
    """As a plain convolution at the old rate, across the end of a block too."""
    from ecg4u.model.prepare import BLOCK, CUTOFF_HZ

    rng = np.random.default_rng(1)
    signal = np.cumsum(rng.normal(0, 0.01, BLOCK + 3000))
    out = resample(signal[None], fs)[0]
    half = int(np.ceil(6 * fs / (2 * CUTOFF_HZ)))
    t = np.arange(-half, half + 1)
    taps = np.sinc(2 * CUTOFF_HZ / fs * t) * np.hamming(2 * half + 1)
    smooth = np.convolve(np.pad(signal, half, mode="edge"), taps / taps.sum(), mode="valid")
    wanted = np.interp(np.arange(len(out)) * fs / 100, np.arange(len(signal)), smooth)
    np.testing.assert_allclose(out, wanted, atol=2e-5)


def test_unknown_samples_are_zero_with_mask_zero_and_do_not_spread() -> None:
    signal = np.tile(sine(500.0, 2.0)[:, None], (1, 12))
    signal[1250:2500, 3] = np.nan
    signal[:, 7] = np.nan
    model_input = prepare(ECGRecord(signal, 500.0))
    assert model_input.channels.shape == (24, 1000)
    assert np.isfinite(model_input.channels).all()
    assert not model_input.masks[3, 250:500].any()
    assert model_input.masks[3].sum() == 750
    assert not model_input.masks[7].any()
    assert not model_input.leads[model_input.masks == 0].any()
    assert np.abs(model_input.leads[3, 100:240] - model_input.leads[2, 100:240]).max() < 0.02


def test_millivolts_and_the_st_level_stay_and_an_offset_goes() -> None:
    beat = np.zeros(1000)
    beat[::100] = 1.5
    beat[10::100] = 0.2
    low = from_leads(np.tile(beat, (12, 1)))
    high = from_leads(np.tile(beat + 0.7, (12, 1)))
    np.testing.assert_allclose(low.leads, high.leads, atol=1e-6)
    assert low.leads[0, 0] == pytest.approx(1.5)
    assert low.leads[0, 10] == pytest.approx(0.2)


def test_short_records_are_padded_with_mask_zero() -> None:
    model_input = prepare(ECGRecord(np.tile(sine(500.0, 2.0, 3.0)[:, None], (1, 12)), 500.0))
    assert model_input.windows().shape == (1, 24, 1000)
    assert model_input.masks[:, :300].all()
    assert not model_input.channels[:, 300:].any()


@pytest.mark.parametrize(("seconds", "windows"), [(10.0, 1), (10.5, 2), (20.0, 2), (74.0, 8)])
def test_long_records_become_windows_that_end_with_the_record(seconds: float, windows: int) -> None:
    signal = np.tile(sine(200.0, 2.0, seconds)[:, None], (1, 12)) + np.linspace(0, 3, round(
        200 * seconds
    ))[:, None]  # fmt: skip
    model_input = prepare(ECGRecord(signal, 200.0))
    cut = model_input.windows()
    assert cut.shape == (windows, 24, 1000)
    assert model_input.starts()[-1] + 1000 == model_input.channels.shape[1]
    assert np.abs(np.median(cut[:, :12], axis=2)).max() < 1e-3


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 1500), st.floats(80.0, 1000.0), st.integers(0, 2**32 - 1))
def test_any_record_gives_finite_clipped_input(samples: int, fs: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    signal = rng.normal(0, 20, (samples, 12))
    signal[rng.random((samples, 12)) < 0.3] = np.nan
    channels = prepare(ECGRecord(signal, fs)).channels
    assert channels.dtype == np.float32
    assert np.isfinite(channels).all()
    assert np.abs(channels[:12]).max() <= CLIP_MV
    assert set(np.unique(channels[12:])) <= {0.0, 1.0}


def test_a_rate_too_low_is_refused() -> None:
    with pytest.raises(UnreadableInputError):
        prepare(ECGRecord(np.zeros((100, 12)), 50.0))
