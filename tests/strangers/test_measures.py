"""How measures of a stranger correct codes, on codes whose effects are known."""

from dataclasses import replace

import numpy as np
import pytest

from tests.actors import PLAIN
from vae.model.latent import LatentStatistics
from vae.strangers.landmarks import NAMES
from vae.strangers.measures import (
    BEYOND,
    GAINS,
    TRUST,
    correct_codes,
    describe_excess,
    describe_film,
    fit_effects,
    share_within,
    translate,
)

OPEN, SMILE = NAMES.index("mouth open"), NAMES.index("smile")
SIZE, FILM = 3, 500
EFFECTS = np.zeros((SIZE, len(NAMES)))  # of the third number no measure tells
EFFECTS[0, OPEN], EFFECTS[1, SMILE] = 0.1, 0.02
RNG = np.random.default_rng(0)


def perform(count=FILM):
    """Returns codes (N, 3) of mouths that open and smile and are mostly at rest."""
    codes = RNG.normal(size=(count, SIZE))
    codes[:, :2] = np.maximum(codes[:, :2], 0)
    return codes


def measure(codes, rest=0.3, size=1.0):
    """Returns what somebody with another face at rest, and another size, measures."""
    noise = 1e-4 * RNG.normal(size=(len(codes), len(NAMES)))
    return rest + size * codes @ EFFECTS + noise


@pytest.fixture(scope="module")
def actor():
    codes = perform()
    arrays = fit_effects(codes, measure(codes, rest=0.5), FILM)
    return replace(LatentStatistics(**PLAIN), mean=codes.mean(0).astype("f4"), **arrays)


@pytest.mark.parametrize("size", [1.0, 0.7, 1.4])
def test_what_is_measured_becomes_the_codes(actor, size):
    """Though the first guess knows nothing, and the stranger's face is another."""
    played = perform()
    guess = np.repeat(actor.mean[None], FILM, axis=0)
    found = correct_codes(guess, measure(played, size=size), actor)
    for column in (0, 1):
        assert np.corrcoef(played[:, column], found[:, column])[0, 1] > 0.95
    assert found[:, 2].std() < 0.1  # nobody measured it


def test_what_no_measure_tells_stays_as_it_was_guessed(actor):
    played = perform()
    found = correct_codes(actor.mean + played, measure(perform()), actor)
    assert np.corrcoef(played[:, 2], found[:, 2])[0, 1] > 0.95


def test_a_crop_without_a_face_keeps_its_guess(actor):
    played, measures = perform(), measure(perform())
    measures[7] = np.nan
    found = correct_codes(played, measures, actor)
    expected = actor.mean + TRUST * (played[7] - actor.mean)
    np.testing.assert_allclose(found[7], expected, rtol=1e-5)
    assert np.isfinite(found).all()


def test_faces_without_one_that_can_be_seen_in_the_film_are_left_out():
    codes, seen = perform(), np.arange(FILM) % 5 > 0
    measures = measure(codes)
    whole = fit_effects(codes[seen], measures[seen], seen.sum())
    measures[~seen] = np.nan
    for name, array in fit_effects(codes, measures, FILM).items():
        np.testing.assert_array_equal(array, whole[name])


def test_codes_of_a_single_number_have_effects():
    codes = perform()
    arrays = fit_effects(codes[:, :1], measure(codes), FILM)
    assert arrays["effect"].shape == (1, len(NAMES))
    assert arrays["gain"][OPEN, 0] * arrays["effect"][0, OPEN] > 0.1


def move(most):
    """Returns measures (N, M) of lips that open from 0.2 by up to `most`."""
    measures = np.full((101, len(NAMES)), 0.2)
    measures[:, OPEN] += np.maximum(np.linspace(-most, most, 101), 0)
    return measures


SPAN = np.stack([np.full(len(NAMES), value) for value in (0, 1, 0.5, 0.1, 0.1)])


def test_rest_is_the_actors_rest():
    translated = translate(move(0.1), SPAN)
    np.testing.assert_allclose(translated[:50], 0.5, atol=1e-6)


@pytest.mark.parametrize(
    ("most", "reached"),
    [
        (0.1, 0.1),
        (0.06, 0.1),  # as far as the actor goes
        (0.01, 0.01 * GAINS[1]),  # hardly anything stays little
        (0.15, 0.1),
        (9.0, 0.1 * (1 + BEYOND)),  # what the actor never did isn't asked for
    ],
)
def test_movements_reach_as_far_as_the_actors(most, reached):
    translated = translate(move(most), SPAN)[-1, OPEN]
    assert translated - 0.5 == pytest.approx(reached, rel=0.05)


def test_lines_tell_what_the_film_holds():
    span = np.zeros((5, len(NAMES)))
    assert describe_film(span[:, :0]) is None
    for name, down, up in (("mouth open", 0, 0.52), ("smile", 0, 0.06)):
        span[3:, NAMES.index(name)] = down, up
    for name in ("left eye", "right eye"):
        span[3, NAMES.index(name)] = 0.14
    lines = describe_film(span).splitlines()
    assert lines[0] == "what the film holds of people's movements (1.0: all of it):"
    assert lines[1].startswith("  mouth open 1.0, mouth wide 0.0, smile 0.5,")
    assert max(map(len, lines)) <= 80
    told = " ".join(line.strip() for line in lines[1:])
    assert " eyes shut 1.0, " in told
    lacking = told.partition(" film more of: ")[2].split(", ")
    assert "mouth wide" in lacking and not {"smile", "eyes shut"} & {*lacking}


def test_a_line_tells_what_a_stranger_does_beyond_the_film():
    measures, span = np.zeros((50, len(NAMES))), np.zeros((5, len(NAMES)))
    span[4, NAMES.index("smile")] = 0.05
    measures[20:23, NAMES.index("smile")] = 0.09
    measures[30, NAMES.index("mouth wide")] = 0.09  # hardly anything
    measures[40] = np.nan
    assert describe_excess(measures, span) == (
        "beyond the actor's film, so it comes out weaker, of 50 crops: smile in 3"
        " (first: crop 21)"
    )
    measures[20:23] = 0
    assert describe_excess(measures, span) is None


def test_the_share_of_a_movement_that_the_film_reaches():
    """Of a mouth that opens evenly by 0 to 0.4, where the film's opens by 0.1."""
    shares = share_within(move(0.4), SPAN)
    assert shares[OPEN] == pytest.approx(7 / 16, abs=0.02)
    assert share_within(move(0.1), SPAN)[OPEN] == pytest.approx(1, abs=0.01)
