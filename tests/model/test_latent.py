"""Statistics of codes and walks between them, against plain arithmetic."""

import io
import os
import pickle
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.actors import PLAIN
from tests.faults import Code
from vae.errors import VaeError
from vae.model import latent
from vae.model.latent import (
    LatentStatistics,
    describe_collapse,
    draw_walks,
    interpolate,
    load_statistics,
    summarise_codes,
)
from vae.strangers.features import FEATURES

CODES = np.array([[0, 0], [2, 0], [0, 4], [2, 5], [1, 2]], np.float32)


def draw_all(statistics, walks, steps, seed):
    """Returns all walks as one array (walks, steps, Z)."""
    found = list(draw_walks(statistics, walks, steps, seed))
    places = [(walk, step + n) for walk, step, z in found for n in range(len(z))]
    assert places == [(walk, step) for walk in range(walks) for step in range(steps)]
    return np.concatenate([z for *_, z in found]).reshape(walks, steps, -1)


def whitened(walks, statistics):
    """Returns walks without the mean and covariance they were given."""
    values, vectors = np.linalg.eigh(statistics.covariance.astype(np.float64))
    return (walks - statistics.mean) @ (vectors / np.sqrt(values)) @ vectors.T


def random_statistics(count=500, latent_dim=6, seed=0):
    """Returns the statistics of codes that are correlated and off centre."""
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(latent_dim, latent_dim))
    return describe(rng.normal(size=(count, latent_dim)) @ mix + 5)


def describe(codes):
    """Returns the statistics of codes, with a reader of nothing."""
    rest = {name: PLAIN[name] for name in ("reader", "blink", "mouth_share")}
    return LatentStatistics(**summarise_codes(codes), **rest)


def test_statistics_are_those_of_arithmetic():
    found = summarise_codes(CODES)
    assert found["mean"].tolist() == [1, pytest.approx(2.2)]
    np.testing.assert_allclose(found["std"] ** 2, [0.8, 20.8 / 5], rtol=1e-6)
    expected = [[0.8, 0.2], [0.2, 20.8 / 5]]
    np.testing.assert_allclose(found["covariance"], expected, rtol=1e-6)
    assert found["neutral"].tolist() == [1, 2]
    assert {array.dtype for array in found.values()} == {np.dtype(np.float32)}


def test_the_neutral_code_is_near_in_units_of_each_deviation():
    codes = [[-100, -1], [100, 1], [-100, 1], [100, -1], [50, 0], [0, 0.9]]
    assert summarise_codes(codes)["neutral"].tolist() == [50, 0]


def test_codes_that_are_all_one_have_a_neutral_one():
    found = describe(np.ones((4, 3)))
    assert found.neutral.tolist() == [1, 1, 1] and not found.std.any()
    assert (draw_all(found, 2, 3, 0) == 1).all()


def test_far_codes_do_not_lose_their_deviation():
    found = summarise_codes(np.float32([[1e4, 0], [1e4 + 1, 0]]))
    assert found["std"].tolist() == [0.5, 0]


def test_statistics_come_back_as_they_were(tmp_path):
    reader = np.arange(FEATURES * 6, dtype="f4").reshape(FEATURES, 6)
    blink = np.arange(12, dtype="f4").reshape(2, 6)
    share = np.full(1, 0.25, "f4")
    statistics = replace(
        random_statistics(), reader=reader, blink=blink, mouth_share=share
    )
    (tmp_path / "a.npz").write_bytes(statistics.pack())
    found = load_statistics(tmp_path / "a.npz", 6)
    for name in PLAIN:
        np.testing.assert_array_equal(getattr(found, name), getattr(statistics, name))


def npz(**changes):
    """Returns the bytes of a file of statistics, with some of them replaced."""
    buffer = io.BytesIO()
    np.savez(buffer, **{k: v for k, v in (PLAIN | changes).items() if v is not None})
    return buffer.getvalue()


def npy(array):
    """Returns the bytes of a file of a single array."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


UNREADABLE = {
    "empty": b"",
    "text": b"mean",
    "cut": npz()[:-30],
    "pickle": pickle.dumps(Code()),
    "array": npy(np.zeros(3)),
    "object": npy(np.array([Code()])),
    "object inside": npz(mean=np.array([Code(), None, None])),
    "no neutral": npz(neutral=None),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_a_file_without_the_statistics_is_refused(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a.npz"
    path.write_bytes(UNREADABLE[case])
    with pytest.raises(VaeError) as caught:
        load_statistics(path, 3)
    text = str(caught.value)
    assert text.startswith(f"{path}: can't be read (")
    assert text.endswith("), the latent statistics that train wrote expected")
    assert os.listdir() == ["a.npz"]


def test_missing_statistics_are_refused(tmp_path):
    with pytest.raises(VaeError, match=r"a.npz: can't be read \(FileNotFoundError\), "):
        load_statistics(tmp_path / "a.npz", 3)


BAD_ARRAYS = {
    "mean": np.zeros(4),
    "std": np.zeros((3, 1)),
    "covariance": np.zeros(9),
    "neutral": np.zeros(3, int),
    "blink": np.zeros(3),
    "mouth_share": np.zeros(3),
}


@pytest.mark.parametrize("name", BAD_ARRAYS)
def test_statistics_of_another_form_are_refused(name, tmp_path):
    path = tmp_path / "a.npz"
    message = rf"^{path}: {name} is not \((2, )?[13],?( 3)?\) finite numbers$"
    with_nan = PLAIN[name].copy()
    with_nan[0] = np.nan
    for array in (BAD_ARRAYS[name], with_nan, PLAIN[name] + 1j):
        path.write_bytes(npz(**{name: array}))
        with pytest.raises(VaeError, match=message):
            load_statistics(path, 3)


def test_statistics_that_unpack_to_gigabytes_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(latent, "MAX_BYTES", 40_000)
    path = tmp_path / "a.npz"
    path.write_bytes(npz())
    assert load_statistics(path, 3).std.tolist() == [1, 1, 1]
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr("more.npy", bytes(40_000))
    with pytest.raises(VaeError, match="can't be read"):
        load_statistics(path, 3)


def test_walks_follow_from_their_seed():
    statistics = random_statistics()
    walks = draw_all(statistics, 4, 5, seed=7)
    assert walks.shape == (4, 5, 6) and walks.dtype == np.float32
    np.testing.assert_array_equal(walks, draw_all(statistics, 4, 5, seed=7))
    assert not (walks == draw_all(statistics, 4, 5, seed=8)).any()


def test_more_walks_begin_as_fewer_do():
    statistics = random_statistics()
    longer = draw_all(statistics, 6, 5, seed=7)[:4]
    np.testing.assert_allclose(longer, draw_all(statistics, 4, 5, 7), rtol=1e-5)


def test_walks_join_without_a_picture_twice():
    statistics = random_statistics()
    path = whitened(draw_all(statistics, 5, 4, 0), statistics).reshape(20, 6)
    turns = angles(path[:-1], path[1:]).round(3)
    assert turns.min() > 0.1
    for walk in range(4):  # the last step of a walk leads to the first of the next
        assert len(set(turns[4 * walk : 4 * walk + 4])) == 1


def angles(points, others):
    """Returns the angle between each two points, seen from the origin."""
    lengths = np.linalg.norm(points, axis=1) * np.linalg.norm(others, axis=1)
    return np.arccos((points * others).sum(1) / lengths)


def test_points_are_spread_like_the_training_set():
    statistics = random_statistics()
    points = draw_all(statistics, 20_000, 1, 0)[:, 0]
    np.testing.assert_allclose(points.mean(0), statistics.mean, atol=0.1)
    found, expected = np.cov(points.T), statistics.covariance
    np.testing.assert_allclose(found, expected, atol=0.03 * np.abs(expected).max())


@pytest.mark.parametrize("scale", [1e-3, 1, 100])
def test_fewer_images_than_dimensions_are_enough(scale):
    codes = np.random.default_rng(0).normal(size=(5, 30)) * scale
    walks = draw_all(describe(codes), 50, 3, 0).reshape(-1, 30)
    directions = np.linalg.svd(codes - codes.mean(0))[2][4:]
    assert np.isfinite(walks).all()
    off = (walks - codes.mean(0)) @ directions.T  # where no training image went
    assert np.abs(off).max() < 0.01 * scale


@given(st.integers(2, 8), st.integers(0, 10**6))
def test_a_turn_is_even_and_lengths_change_evenly(latent_dim, seed):
    start, end = np.random.default_rng(seed).normal(size=(2, latent_dim))
    path = interpolate(start, end, np.linspace(0, 1, 6))
    np.testing.assert_allclose(path[[0, -1]], [start, end], atol=1e-7)
    turns = angles(path[:-1], path[1:])
    np.testing.assert_allclose(turns, turns.mean(), atol=1e-5)
    lengths = np.diff(np.linalg.norm(path, axis=1))
    np.testing.assert_allclose(lengths, lengths.mean(), atol=1e-6)


STRAIGHT = {
    "from the origin": ([0, 0], [2, 4]),
    "to the origin": ([2, 4], [0, 0]),
    "nowhere": ([0, 0], [0, 0]),
    "the same": ([1, 2], [1, 2]),
    "along a line": ([1, 2], [3, 6]),
    "opposite": ([1, 2], [-2, -4]),
    "one number": ([1], [-3]),
}


@pytest.mark.parametrize("case", STRAIGHT)
def test_where_there_is_no_turn_the_way_is_straight(case):
    start, end = np.array(STRAIGHT[case], float)
    fractions = np.array([0, 0.25, 0.5, 1])
    expected = [start + fraction * (end - start) for fraction in fractions]
    np.testing.assert_allclose(interpolate(start, end, fractions), expected, atol=1e-9)


def test_row_53_long_walks_come_a_little_at_a_time():
    statistics = random_statistics()
    sizes = [len(z) for _, _, z in draw_walks(statistics, 2, 1000, 0)]
    assert max(sizes) == latent.STEPS_AT_A_TIME and sum(sizes) == 2000
    endless = draw_walks(statistics, 10**9, 10**9, 0)
    assert next(endless)[:2] == (0, 0)
    short = draw_all(statistics, 2, 3, 0)
    np.testing.assert_allclose(draw_all(statistics, 2, 300, 0)[:, ::100], short, 1e-5)


def test_row_99_a_collapse_is_told_by_its_nats():
    assert describe_collapse(0.1 * 30, 30) is None
    assert describe_collapse(1.5, 30).startswith("a KL of 0.050 nats a number of the c")
