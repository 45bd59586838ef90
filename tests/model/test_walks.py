"""Walks between codes, against plain arithmetic: where they lead and how fast."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.model.test_latent import describe, random_statistics
from vae.model.walks import (
    STEPS_AT_A_TIME,
    draw_samples,
    find_directions,
    interpolate,
    make_prior,
    traverse,
    walk_at_random,
    walk_through,
)

KINDS = ["mixture", "gaussian", "normal"]


def follow(walk, count):
    """Returns the codes of so many pictures (N, Z)."""
    return np.concatenate(list(walk.follow(walk.spread_times(count))))


def draw_all(statistics, walks, steps, seed, kind="gaussian", closed=False):
    """Returns all walks as one array (walks, steps, Z)."""
    walk = walk_at_random(make_prior(kind, statistics), walks, seed, 1.0, closed)
    return follow(walk, walks * steps).reshape(walks, steps, -1)


def whitened(walks, statistics):
    """Returns walks without the mean and covariance they were given."""
    values, vectors = np.linalg.eigh(statistics.covariance.astype(np.float64))
    return (walks - statistics.mean) @ (vectors / np.sqrt(values)) @ vectors.T


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


def test_codes_that_are_all_one_make_walks_of_one_picture():
    assert (draw_all(describe(np.ones((4, 3))), 2, 3, 0) == 1).all()


def test_row_53_long_walks_come_a_little_at_a_time():
    statistics = random_statistics()
    walk = walk_at_random(make_prior("gaussian", statistics), 10**5, 0, 1.0, False)
    first = next(walk.follow(walk.spread_times(10**6)))
    assert len(first) == 10  # of the first walk alone, though there are many
    walk = walk_at_random(make_prior("gaussian", statistics), 2, 0, 1.0, False)
    sizes = [len(z) for z in walk.follow(walk.spread_times(2000))]
    assert max(sizes) == STEPS_AT_A_TIME and sum(sizes) == 2000
    short = draw_all(statistics, 2, 3, 0)
    np.testing.assert_allclose(draw_all(statistics, 2, 300, 0)[:, ::100], short, 1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("walks", [1, 2, 5])
def test_a_loop_ends_one_step_before_its_start(kind, walks):
    statistics = random_statistics()
    loop = draw_all(statistics, walks, 12, 0, kind, closed=True).reshape(-1, 6)
    walk = walk_at_random(make_prior(kind, statistics), walks, 0, 1.0, True)
    [ends] = walk.follow(np.array([walks - 1e-9]))
    np.testing.assert_allclose(ends, loop[:1], atol=1e-5)
    if walks > 1:
        last, first = loop[0] - loop[-1], loop[-1] - loop[-2]
        assert 0.5 < np.linalg.norm(last) / np.linalg.norm(first) < 2


def test_a_cold_walk_stays_at_the_mean_and_a_hot_one_goes_further():
    prior = make_prior("gaussian", random_statistics())
    found = [
        np.concatenate(list(draw_samples(prior, 50, 3, temperature)))
        for temperature in (0.0, 1.0, 2.0)
    ]
    np.testing.assert_allclose(found[0], np.tile(prior.mean, (50, 1)), rtol=1e-6)
    away = [codes - prior.mean for codes in found]
    np.testing.assert_allclose(away[2], 2 * away[1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("path", ["linear", "spline"])
def test_a_walk_goes_through_each_code_to_the_last(path):
    codes = np.random.default_rng(0).normal(size=(5, 3))
    walk = walk_through(codes, path)
    found = follow(walk, 4 * 6 + 1)
    np.testing.assert_allclose(found[::6], codes, atol=1e-6)
    middle = (codes[:-1] + codes[1:]) / 2
    straight = np.allclose(found[3::6], middle, atol=1e-6)
    assert straight == (path == "linear")
    turns = np.abs(np.diff(follow(walk, 4001), 2, axis=0)).max()
    assert (turns < 1e-5) == (path == "spline")  # no corners


def square(codes):
    """Decodes the first number of a code into one picture of its square."""
    level = np.clip(255 * codes[:, :1] ** 2, 0, 255)
    return np.repeat(level, 4, axis=1).reshape(-1, 2, 2, 1).astype(np.uint8)


def test_a_constant_speed_is_that_of_the_picture():
    walk = walk_through(np.array([[0.0, 0], [1.0, 5]]), "linear")

    def speeds(times):
        [codes] = walk.follow(times)
        return np.diff(square(codes)[:, 0, 0, 0].astype(float))

    plain = speeds(walk.spread_times(11))
    even = speeds(walk.even_out(11, square))
    assert plain.max() > 8 * plain.min() and even.max() < 1.2 * even.min()
    times = walk.even_out(11, square)
    assert times[0] == 0 and times[-1] == 1 and (np.diff(times) > 0).all()


def test_where_nothing_changes_time_goes_evenly():
    walk = walk_through(np.zeros((3, 2)), "linear")
    np.testing.assert_array_equal(walk.even_out(9, square), walk.spread_times(9))


def test_directions_that_change_pictures_most_come_first():
    statistics = random_statistics()
    prior = make_prior("gaussian", statistics)
    matrix = np.random.default_rng(1).normal(size=(6, 12)) * 10

    def decode(codes):
        return ((codes - statistics.mean) @ matrix).reshape(-1, 2, 2, 3) + 100

    directions, shares = find_directions(prior, decode, 6)
    changes = np.square(directions @ matrix).sum(1)
    np.testing.assert_allclose(shares, changes / changes.sum(), rtol=1e-3)
    assert (np.diff(shares) < 0).all()
    overlap = directions @ matrix @ (directions @ matrix).T
    np.fill_diagonal(overlap, 0)
    assert np.abs(overlap).max() < 1e-2 * changes.max()  # each changes another thing
    whitened_ones = directions @ np.linalg.inv(prior.root)
    np.testing.assert_allclose(whitened_ones @ whitened_ones.T, np.eye(6), atol=1e-6)
    fewer, _ = find_directions(prior, decode, 2)
    np.testing.assert_array_equal(fewer, directions[:2])
    rows = np.concatenate(list(traverse(prior.mean, directions, 5, 1.0)))
    rows = rows.reshape(6, 5, 6)
    np.testing.assert_allclose(rows[:, 2], np.tile(prior.mean, (6, 1)), rtol=1e-5)
    np.testing.assert_allclose(rows[:, 4] - prior.mean, 2 * directions, rtol=1e-4)


def test_samples_of_a_mixture_are_near_its_means():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(4, 5)) * 20
    codes = np.repeat(centres, 60, axis=0) + rng.normal(size=(240, 5))
    far = {}
    for kind in KINDS:
        prior = make_prior(kind, describe(codes))
        drawn = np.concatenate(list(draw_samples(prior, 400, 0, 1.0)))
        distance = np.linalg.norm(drawn[:, None] - centres, axis=2).min(1)
        far[kind] = np.median(distance)
        if kind == "mixture":
            shares = np.bincount(
                np.linalg.norm(drawn[:, None] - centres, axis=2).argmin(1)
            )
            assert (shares > 60).all()
    assert far["mixture"] < 3 and far["gaussian"] > 10 < far["normal"]
    statistics = describe(codes)
    cold = make_prior("mixture", statistics)
    drawn = np.concatenate(list(draw_samples(cold, 20, 0, 0.0)))
    means = statistics.mixture_means
    assert np.linalg.norm(drawn[:, None] - means, axis=2).min(1).max() < 1e-3


def test_a_model_without_a_mixture_has_the_gaussian():
    whole = random_statistics()
    old = replace(whole, mixture_weights=None, mixture_means=None)
    found, expected = make_prior("mixture", old), make_prior("gaussian", whole)
    np.testing.assert_array_equal(found.root, expected.root)
    assert len(found.centres) == 1
