"""How expressions come across, on measures and codes that are made up here."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from tests.actors import PLAIN
from vae.errors import VaeError
from vae.evaluation import transfer
from vae.evaluation.report import format_transfer
from vae.evaluation.transfer import (
    MIN_CROPS,
    READINGS,
    UNMOVED,
    UNTOLD,
    compare_readings,
    find_torn,
    judge_transfer,
)
from vae.model.latent import LatentStatistics
from vae.strangers.alignment import Aligned
from vae.strangers.landmarks import NAMES
from vae.strangers.measures import fit_effects

COUNT, SIZE = 240, 4
WINK = [NAMES.index("left eye"), NAMES.index("right eye")]
RNG = np.random.default_rng(0)
EFFECTS = RNG.normal(size=(SIZE, len(NAMES)))
EFFECTS[:, WINK[1]] = EFFECTS[:, WINK[0]]  # eyes blink alike: winks are noise


def play(count=COUNT):
    """Returns smooth codes (N, 4)."""
    times = np.arange(count)[:, None] / np.array([5.0, 7.0, 9.0, 11.0])
    return np.sin(times + RNG.uniform(0, 6, SIZE))


def measure(codes, noise=1e-3):
    """Returns measures (N, M) of codes."""
    return codes @ EFFECTS + noise * RNG.normal(size=(len(codes), len(NAMES)))


@pytest.fixture(scope="module")
def film():
    """Statistics of a film whose measures its codes tell, but for winks."""
    codes = play(1000)
    found = fit_effects(codes, measure(codes, 0.05), len(codes))
    covariance = np.cov(codes.T).astype("f4")
    statistics = LatentStatistics(**PLAIN | {"covariance": covariance})
    return replace(statistics, mean=codes.mean(0).astype("f4"), **found)


def test_what_comes_across_whole_scores_one(film):
    own = measure(play())
    found = compare_readings(own, own, film)
    assert found["mean"]["mean"] == pytest.approx(1)
    assert found["mean"]["low"] == pytest.approx(1) == found["mean"]["high"]
    assert found["mean"]["block"] == 24 and found["mean"]["pieces"] == 10
    assert list(found["readings"]) == list(READINGS)
    for name, row in found["readings"].items():
        assert row["r"] == pytest.approx(1)
        assert row["uncounted"] == (UNTOLD if name == "wink" else None)
    assert found["slope"] == pytest.approx(1, rel=0.1)  # a film of the same play
    assert found["jitter"] == pytest.approx(found["slope"], rel=0.05)
    assert found["unread"] == 0
    assert json.loads(json.dumps(found)) == found


def test_faces_of_half_the_movement_have_half_the_slope(film):
    own = measure(play())
    whole, half = (compare_readings(own, part * own, film) for part in (1, 0.5))
    assert half["slope"] == pytest.approx(whole["slope"] / 2)
    assert half["mean"]["mean"] == pytest.approx(1)


def test_noise_in_the_faces_lowers_r_and_jitters(film):
    own = measure(play())
    found = compare_readings(own, own + RNG.normal(size=own.shape), film)
    mean = found["mean"]
    assert 0.3 < mean["low"] < mean["mean"] < mean["high"] < 0.95
    assert found["jitter"] > 5


def test_a_reading_that_hardly_moves_does_not_count(film):
    own = measure(play())
    own[:, NAMES.index("smile")] = RNG.normal(size=COUNT)
    found = compare_readings(own, measure(play()), film)
    assert found["readings"]["smile"]["uncounted"] == UNMOVED
    counted = [row["r"] for row in found["readings"].values() if not row["uncounted"]]
    assert len(counted) == len(READINGS) - 2
    assert found["mean"]["mean"] == pytest.approx(np.mean(counted))


def test_nothing_counts_where_all_is_noise(film):
    noise = RNG.normal(size=(COUNT, len(NAMES)))
    found = compare_readings(noise, noise, film)
    assert (found["mean"], found["slope"], found["jitter"]) == (None, None, None)
    lines = format_transfer(found | {"torn": None, "crops": COUNT})
    assert "mean r: none, since no reading counts; are the crops in order of time?" in (
        lines
    )


def test_frames_without_landmarks_are_left_out_and_counted(film):
    own = measure(play())
    shown = own + 0.3 * RNG.normal(size=own.shape)
    holes = own.copy(), shown.copy()
    holes[0][3:9], holes[1][200:203] = np.nan, np.nan
    seen = np.isfinite(holes[0][:, 0]) & np.isfinite(holes[1][:, 0])
    found = compare_readings(*holes, film)
    assert found["unread"] == 9
    column = NAMES.index("smile")
    r = np.corrcoef(own[seen, column], shown[seen, column])[0, 1]
    assert found["readings"]["smile"]["r"] == pytest.approx(r)
    assert "left out, without landmarks: 9" in format_transfer(
        found | {"torn": [], "crops": COUNT}
    )


def test_a_film_that_was_not_measured_has_no_unit():
    own = measure(play())
    found = compare_readings(own, own, LatentStatistics(**PLAIN))
    assert found["mean"]["mean"] == pytest.approx(1)
    assert (found["slope"], found["jitter"]) == (None, None)
    assert found["readings"]["smile"] == {
        **{"r": pytest.approx(1), "slope": None, "jitter": None, "shown": None},
        "uncounted": None,
    }


class FakeActor:
    """Its faces are gray levels of codes, so that codes off limits are torn."""

    def __init__(self, film):
        self.statistics = SimpleNamespace(film=film, span=np.zeros((5, 0)))
        self.network = self

    def decode(self, z):
        """Returns images (N, 1, 1, Z)."""
        return np.clip(np.rint(z), 0, 255).astype("u1")[:, None, None]

    def encode(self, images):
        """Returns the codes, and nothing else."""
        return images[:, 0, 0].astype("f4"), None


def test_a_face_that_is_read_as_another_code_is_torn():
    film = RNG.uniform(10, 240, (300, SIZE)).astype("f2")
    actor, z = FakeActor(film), film[:50].astype("f4")
    z[7, 0], z[31, 2] = 300, -20
    assert find_torn(actor, z, actor.decode(z)).tolist() == [7, 31]
    actor.statistics.film = None
    assert find_torn(actor, z, actor.decode(z)) is None


def judge(monkeypatch, count, *readings):
    """Judges so many crops of which these measures are read, crops then faces."""
    found = iter(readings)
    monkeypatch.setattr(transfer, "measure_faces", lambda images: next(found))
    actor = FakeActor(None)
    z = np.full((count, 3), 9, "f4")
    return judge_transfer(actor, actor.decode(z), Aligned(z, [], "none", None), "clip")


@pytest.mark.parametrize(
    ("count", "own", "shown", "reason"),
    [
        (MIN_CROPS - 1, 0, 0, "23 crops found, at least 24 in the order of time expec"),
        (MIN_CROPS, 0, 0, "no landmarks were found in more than 20% of the crops, so"),
        (MIN_CROPS, MIN_CROPS, 0, "no landmarks were found in more than 20% of the ac"),
    ],
)
def test_what_cannot_be_compared_is_an_error(count, own, shown, reason, monkeypatch):
    readings = (measure(play(MIN_CROPS))[:rows] for rows in (own, shown))
    with pytest.raises(VaeError, match=f"^clip: {reason}"):
        judge(monkeypatch, count, *readings)


def test_a_table_says_what_was_found(film):
    own = measure(play())
    found = compare_readings(own, 0.5 * own, film)
    found["readings"]["smile"] |= {"r": -0.5, "slope": 2, "jitter": None, "shown": 0.5}
    found |= {"slope": 0.512, "jitter": None, "torn": [4, 9], "crops": COUNT}
    lines = format_transfer(found)
    assert lines[0].split() == ["r", "slope", "jitter", "shown"]
    assert "smile         -0.50    2.00       -     50%" in lines
    [wink] = [line for line in lines if line.startswith("wink ")]
    assert wink.endswith(f"       -  not counted, {UNTOLD}")
    assert lines[-3:] == [
        "mean r 1.00 (1.00 to 1.00, blocks of 24); median slope 0.51, jitter -",
        "torn faces: 2 of 240 (first: 5)",
        "read by the tool itself; a ruler that shares nothing with it may differ",
    ]
    few = compare_readings(own[:60], own[:60], film) | {"torn": [], "crops": 60}
    assert "mean r 1.00 (not bounded, under 5 blocks of 24 frames); " in "".join(
        format_transfer(few)
    )
