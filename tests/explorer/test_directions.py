"""A slider changes one thing that has a name, and none of the others."""

import numpy as np

from vae.explorer.directions import LEAST_EXPLAINED, MOST, SLIDERS, fit_sliders
from vae.explorer.readings import Measures


def measure(names, count=400, size=8, noise=0.1, seed=0):
    """Readings that are linear in codes, and noise; their matrix (Z, M) besides."""
    rng = np.random.default_rng(seed)
    codes = rng.normal(size=(count, size)) @ rng.normal(size=(size, size))
    matrix = rng.normal(size=(size, len(names)))
    values = codes @ matrix
    values += noise * values.std(0) * rng.normal(size=values.shape)
    return Measures(tuple(names), values, codes), matrix


def test_a_direction_moves_its_own_reading_alone():
    measures, matrix = measure(["smile", "yaw", "open"])
    sliders = fit_sliders(measures, np.zeros(8))
    assert [slider.name for slider in sliders] == ["open", "smile", "yaw"]
    for slider in sliders:
        moved = slider.direction @ matrix / measures.values.std(0)
        own = measures.names.index(slider.name)
        assert moved[own] > 0.8
        assert np.abs(np.delete(moved, own)).max() < 0.1
        assert abs(slider.direction @ slider.reading - 1) < 1e-6
        assert slider.low < 0 < slider.high


def test_what_codes_dont_tell_has_no_slider():
    measures, _ = measure(["open", "smile"])
    noise = np.random.default_rng(1).normal(size=len(measures.values))
    values = np.column_stack([measures.values[:, 0], noise])
    found = fit_sliders(measures._replace(values=values), np.zeros(8))
    assert [slider.name for slider in found] == ["open"]
    assert LEAST_EXPLAINED > 0


def test_of_two_readings_that_say_the_same_one_has_a_slider():
    measures, _ = measure(["open", "smile", "width"])
    values = measures.values.copy()
    values[:, 2] = values[:, 1] * 3 + 0.01 * values[:, 2]
    found = fit_sliders(measures._replace(values=values), np.zeros(8))
    assert len(found) == 2 and found[0].name == "open"


def test_there_are_at_most_ten_and_none_where_nothing_varies():
    names = list(SLIDERS)
    measures, _ = measure(names, size=20)
    assert len(fit_sliders(measures, np.zeros(20))) == min(MOST, len(names))
    still = Measures(measures.names, 0 * measures.values, 0 * measures.codes)
    assert fit_sliders(still, np.zeros(20)) == []


def test_there_are_no_more_sliders_than_numbers_in_a_code():
    measures, _ = measure(list(SLIDERS), size=3)
    assert 1 <= len(fit_sliders(measures, np.zeros(3))) <= 3
    single, _ = measure(["open"], size=1)
    assert len(fit_sliders(single, np.zeros(1))) == 1
