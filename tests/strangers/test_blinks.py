"""Whose blinks are found, though shut eyes differ from face to face, and whose not."""

import numpy as np
import pytest

from tests.actors import Stranger
from vae.config import ReconstructConfig
from vae.images.pixels import measure_pixels
from vae.model.latent import LatentStatistics, no_measures
from vae.strangers.alignment import find_codes
from vae.strangers.blinks import MIN_CROPS, learn_blinks, separate_blinks, view
from vae.strangers.features import EDGES, FEATURES, oriented_gradients

COUNT, PERIOD = 240, 30  # crops, and from one blink to the next
PALE, DEEP = 0.1, 0.9  # eyes when they are open; shut ones are as bright as 0.5


def play(seed=0, count=COUNT):
    """Returns what wanders, (N, 3): brows and mouth up and down, and lids a little."""
    return np.random.default_rng(seed).uniform(-1, 1, (count, 3)) * [0.02, 0.03, 0.15]


def blink(count=COUNT):
    """Returns 1 where eyes are shut, else 0: (N,), two crops of each thirty."""
    return (np.arange(count) % PERIOD < 2).astype(float)


def draw_people(moves, shut, eyes=PALE, left=None):
    """Gray faces (N, 64, 64, 1); `left` shuts the left eye otherwise than the right."""
    y, x = (np.mgrid[0:64, 0:64] + 0.5) / 64

    def spot(row, column, height, width):
        rows = (y - np.asarray(row)[:, None, None]) / height
        return np.exp(-(rows**2) - ((x - column) / width) ** 2)

    brows, mouth, lids = moves.T
    faces = 0.5 + 0.3 * spot(0.22 + brows, 0.5, 0.02, 0.3)
    faces -= 0.4 * spot(0.72 + mouth, 0.5, 0.03, 0.15)
    here = np.zeros(len(moves))
    for column, closed in (0.3, shut if left is None else left), (0.7, shut):
        opened = ((1 - closed) * (1 + lids))[:, None, None]
        faces += (eyes - 0.5) * opened * spot(here + 0.33, column, 0.04, 0.06)
        faces -= 0.15 * spot(here + 0.38, column, 0.015, 0.08) * (1 - opened)
    faces += np.random.default_rng(9).normal(size=faces.shape) * 0.01
    return faces[..., None].astype("f4")  # (N, 64, 64, 1)


def find(faces):
    """Returns the blinks of faces, and how far shut eyes are in each."""
    views = view(oriented_gradients(faces))
    found = learn_blinks(views)
    return found, None if found is None else found.measure(views)[:, 0]


def change(edges, shut, columns=slice(None)):
    """Returns how much edges around the eyes change where `shut` (N,) is 1."""
    eyes = edges.reshape(-1, 16, 16, 8)[:, 4:7, columns]
    return np.abs(eyes[shut == 1].mean(0) - eyes[shut == 0].mean(0)).sum()


@pytest.mark.parametrize("eyes", [PALE, DEEP], ids=["pale", "deep"])
def test_blinks_are_found_however_eyes_look(eyes):
    shut = blink()
    _, read = find(draw_people(play(), shut, eyes))
    assert np.corrcoef(shut, read)[0, 1] > 0.95
    assert read[shut == 1].mean() == pytest.approx(1, abs=0.15)
    assert abs(read[shut == 0].mean()) < 0.15


def test_one_blink_among_many_crops_is_found():
    shut = np.zeros(COUNT)
    shut[100:103] = 1
    _, read = find(draw_people(play(), shut))
    assert set(np.argsort(read)[-3:]) == {100, 101, 102}


def test_winks_are_told_from_what_blinks_look_like():
    shut, left, right = blink(), np.zeros(COUNT), np.zeros(COUNT)
    left[100:103] = right[200:203] = 1
    edges = oriented_gradients(draw_people(play(), shut + right, left=shut + left))
    found = learn_blinks(view(edges))
    both, apart = found.measure(view(edges)).T
    for which, value in ((left, 0.5), (right, -0.5), (shut, 0)):
        assert apart[which == 1].mean() == pytest.approx(value, abs=0.1)
    assert both[left == 1].mean() == pytest.approx(0.5, abs=0.15)
    kept = separate_blinks(edges, found)[:, :EDGES]
    for winking, columns in (left, slice(0, 8)), (right, slice(8, 16)):
        assert change(kept, winking, columns) < change(edges, winking, columns) / 2


def test_who_never_blinks_has_no_blinks():
    assert find(draw_people(play(), np.zeros(COUNT)))[0] is None


@pytest.mark.parametrize("count, known", [(MIN_CROPS - 1, False), (MIN_CROPS, True)])
def test_few_crops_tell_nothing(count, known):
    found, _ = find(draw_people(play(count=count), blink(count)))
    assert (found is not None) == known


def test_what_the_whole_face_does_is_no_blink():
    """Rarely both brows and the mouth jump, and with them the lids are lowered."""
    moves, shut = play(), blink()
    jump = np.roll(shut, 15)
    moves += jump[:, None] * [-0.05, 0.08, -0.5]
    _, read = find(draw_people(moves, shut))
    assert np.corrcoef(shut, read)[0, 1] > 0.9 > 0.4 > np.corrcoef(jump, read)[0, 1]


def test_mirrored_faces_are_seen_alike():
    faces = draw_people(play(), np.zeros(COUNT), left=np.ones(COUNT))
    seen = view(oriented_gradients(faces))
    mirrored = view(oriented_gradients(faces[:, :, ::-1]))
    both, apart, rest = (slice(*ends) for ends in ((0, 160), (160, 320), (320, None)))
    for part, sign in ((both, 1), (apart, -1), (rest, 1)):
        pair = seen[:, part].ravel(), sign * mirrored[:, part].ravel()
        assert np.corrcoef(*pair)[0, 1] > 0.9
    edges = [oriented_gradients(part).ravel() for part in (faces, faces[:, :, ::-1])]
    assert np.corrcoef(*edges)[0, 1] < 0.9


def test_faces_without_blinks_keep_the_rest():
    moves, shut = play(), blink()
    edges = oriented_gradients(draw_people(moves, shut))
    numbers = np.arange(COUNT, dtype="f4")[:, None]
    features = np.concatenate([edges, numbers], axis=1)
    found = learn_blinks(view(edges))
    parted = separate_blinks(features, found)
    np.testing.assert_allclose(parted[:, -2:], found.measure(view(edges)))
    np.testing.assert_array_equal(parted[:, -3], numbers[:, 0])
    assert change(parted[:, :EDGES], shut) < change(edges, shut) / 3
    grid = (edges - parted[:, :EDGES]).reshape(-1, 16, 16, 8)
    assert not grid[:, 8:].any() and grid[:, 3:7].any()


def test_without_blinks_nothing_is_taken_out():
    features = np.ones((2, EDGES + 1), "f4")
    parted = separate_blinks(features, None)
    np.testing.assert_array_equal(parted[:, :-2], features)
    assert not parted[:, -2:].any()


def read_codes(shut, reader, size=1.0):
    """Returns codes (N, 2) of a stranger who blinks, of so lively features."""
    faces = draw_people(play() * size, shut)
    images = (255 * faces.clip(0, 1)).astype("u1")
    statistics = LatentStatistics(
        mean=np.array([1.0, -1.0]),
        std=np.array([2.0, 0.0]),
        covariance=np.eye(2),
        neutral=np.zeros(2),
        reader=reader,
        blink=np.array([[0.0, 3.0], [0.0, 0.0]], "f4"),
        mouth_share=np.zeros(1, "f4"),
        **no_measures(2),
    )
    config = ReconstructConfig("register")
    return find_codes(Stranger(images), images, statistics, config)


@pytest.mark.parametrize("size", [1.0, 0.3], ids=["lively", "shy"])
def test_a_strangers_blinks_become_the_actors_whatever_edges_say(size):
    """And of the actor's height, though what else a shy stranger does is enlarged."""
    reader = np.zeros((FEATURES, 2), "f4")
    rows = np.random.default_rng(1).normal(size=(16, 16, 8))
    reader[:EDGES, 0] = 3 * rows.ravel()
    shut = blink()
    moved, blinked = read_codes(shut, reader, size).T
    jump = blinked[shut == 1].mean() - blinked[shut == 0].mean()
    assert jump == pytest.approx(3, abs=0.6)
    assert abs(np.corrcoef(shut, moved)[0, 1]) < 0.4
    assert moved.std() == pytest.approx(2, rel=1e-3)


class Film:
    """An actor with two numbers for a code: how bright eyes are, how bright a mouth."""

    def __init__(self, images):
        self.average, _ = measure_pixels(images)

    def encode(self, images):
        z = self.encode_floats(images / np.float32(255))
        return z, np.zeros_like(z)

    def encode_floats(self, faces):
        parts = faces[:, 18:25, 15:25], faces[:, 40:52, 24:40]
        return np.stack([part.mean((1, 2, 3)) for part in parts], axis=1)


@pytest.mark.tensorflow
def test_training_learns_what_shut_eyes_do_to_codes():
    from vae.strangers.reader import ReaderFitter
    from vae.training.augment import augment_fully

    shut = blink()
    images = (255 * draw_people(play(), shut).clip(0, 1)).astype("u1")
    film = Film(images)
    z, _ = film.encode(images)
    change = z[shut == 1].mean(0) - z[shut == 0].mean(0)
    statistics = ReaderFitter(images, 0, augment_fully).fit(film)
    assert statistics.reader.shape == (FEATURES, 2)
    assert statistics.blink.shape == (2, 2)
    assert statistics.blink[0, 0] == pytest.approx(change[0], rel=0.3)
    assert abs(statistics.blink[0, 1]) < 0.2 * abs(change[0])
