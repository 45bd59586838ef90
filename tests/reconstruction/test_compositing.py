"""`reconstruct --faces --paste`: where faces come to lie, and what stays as it is."""

import csv

import numpy as np
import pytest
from PIL import Image

from examples.people import make_identity
from examples.scene import HEAD, film_scene
from tests.actors import write_model
from tests.films import read_frames, read_sound, read_times
from tests.reconstruction.test_session import read_film
from vae.images.networks import EYES, find_similarity, invert, is_installed, move_points
from vae.preparation.faces import Face, FaceDetector
from vae.reconstruction.compositing import Compositor, Patch, lay, smooth_path

SIDE, FRAMES = 64, 24


def draw_actor():
    """A gray face with a dark spot at each eye, on black; uint8 (H, W, 3)."""
    y, x = np.indices((SIDE, SIDE)) + 0.5
    image = 150 + 20 * np.sin(x / 9)
    for at_x, at_y in EYES * SIDE / 112:
        image[np.hypot(x - at_x, y - at_y) < 3] = 20
    image[np.hypot(x - 32, y - 30) > 31] = 0
    return np.repeat(image[..., None], 3, axis=2).astype(np.uint8)


def place_drawn_eyes(matrix):
    """The middles of a drawn head's eyes in a scene, (2, 2)."""
    identity = make_identity(3)
    x = np.array([-identity.eye_x, identity.eye_x])
    places = np.stack([x, np.full(2, identity.eye_y)], axis=1)
    return move_points((places + 1) * HEAD / 2, matrix)


def find_spot(image, near):
    """The middle of what is dark, within 8 pixels of a place."""
    y, x = np.indices(image.shape[:2]) + 0.5
    light = image.mean(axis=2)
    inside = np.hypot(x - near[0], y - near[1]) < 8
    weight = (np.median(light[inside]) * 0.6 - light).clip(0) * inside
    return np.array([np.average(x, weights=weight), np.average(y, weights=weight)])


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A film of a drawn head: (path, images, matrices)."""
    pytest.importorskip("av")
    if not is_installed():
        pytest.skip("needs the extra faces")
    path = tmp_path_factory.mktemp("scene") / "scene.mp4"
    images, matrices, _ = film_scene(path, FRAMES)
    return path, images, matrices


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "model"
    return write_model(folder, SIDE, SIDE, picture=draw_actor())


def test_a_scene_keeps_all_but_the_face(scene, model, tmp_path, run_cli):
    path, _, matrices = scene
    film, exact = tmp_path / "film.mp4", tmp_path / "film.png"
    patches = tmp_path / "patches"
    line = ["reconstruct", "--faces", "--paste", model, path]
    status, out, err = run_cli(*line, film)
    away = np.isnan(matrices[:, 0, 0])
    assert status == 0 and out.startswith(f"{FRAMES} of {FRAMES} frames in {film}\n")
    assert f"without a face: {away.sum()} frames, as they were\n" in err
    assert read_times(film) == read_times(path)
    assert read_sound(film) == read_sound(path)
    before = np.rot90(read_frames(path), 1, (1, 2))
    coded = read_frames(film)
    assert coded.shape == before.shape  # upright
    assert np.abs(coded[away].astype(int) - before[away]).mean() < 3

    status, out, err = run_cli(*line, exact, "--patches", patches)
    assert status == 0 and "without the sound" in err
    frames, _ = read_film(exact)
    np.testing.assert_array_equal(frames[away], before[away])
    detector, off_found, off_drawn = FaceDetector(1), [], []
    for number in np.flatnonzero(~away):
        eyes = place_drawn_eyes(matrices[number])
        spots = np.array([find_spot(frames[number], eye) for eye in eyes])
        off_drawn += np.hypot(*(spots - eyes).T).tolist()
        found = detector.find(before[number]).eyes
        off_found += np.hypot(*(spots - found).T).tolist()
        changed = (frames[number] != before[number]).any(axis=2)
        y, x = np.nonzero(changed)
        middle = move_points(np.array([[HEAD / 2, HEAD / 2]]), matrices[number])[0]
        assert 2000 < len(x) and np.hypot(x - middle[0], y - middle[1]).max() < HEAD
    assert max(off_found) < 2  # a jitter is smoothed away
    assert np.median(off_drawn) < 2.5  # the detector has an error of its own

    with (patches / "patches.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["frame"]) for row in rows] == np.flatnonzero(~away).tolist()
    times = read_times(path)
    for row in rows[::7]:
        number = int(row["frame"])
        with Image.open(patches / row["file"]) as picture:
            rgba = np.asarray(picture)
        matrix = np.array([float(row[name]) for name in "abcdef"]).reshape(2, 3)
        laid = lay(before[number], Patch(rgba[..., :3], rgba[..., 3], invert(matrix)))
        np.testing.assert_array_equal(laid, frames[number])
        assert abs(float(row["seconds"]) - times[number]) < 1e-6
    with np.load(patches / "patches.npz") as stored:
        assert stored["matrix"].shape == (len(rows), 2, 3)


def test_without_paste_a_film_shows_the_last_face_where_there_is_none(
    scene, model, tmp_path, run_cli
):
    path, _, matrices = scene
    film = tmp_path / "film.mov"
    status, out, err = run_cli("reconstruct", "--faces", model, path, film)
    away = np.isnan(matrices[:, 0, 0]).sum()
    assert status == 0
    assert f"without a face: {away} frames, the face before is shown\n" in err
    assert read_times(film) == read_times(path)
    assert read_frames(film).shape == (FRAMES, SIDE, SIDE, 3)
    folder = tmp_path / "folder"
    assert run_cli("reconstruct", "--faces", model, path, folder)[0] == 0
    assert len(list(folder.iterdir())) == FRAMES - away


def test_a_film_without_any_face_is_listed(scene, model, tmp_path, run_cli):
    path, images, matrices = scene
    folder = tmp_path / "walls"
    folder.mkdir()
    empty = images[np.isnan(matrices[:, 0, 0])][0]
    Image.fromarray(empty).save(folder / "a.png")
    film = tmp_path / "film.mp4"
    status, _, err = run_cli("reconstruct", "--faces", "--paste", model, folder, film)
    assert status == 1 and f"{folder}: no face found\n" in err and not film.exists()


def test_colours_become_those_of_what_is_covered():
    random = np.random.default_rng(0)
    crops = random.normal([90, 120, 60], [10, 20, 30], (5, SIDE, SIDE, 3))
    results = random.normal([200, 100, 150], [20, 15, 25], (5, SIDE, SIDE, 3))
    crops, results = (part.clip(0, 255).astype(np.uint8) for part in (crops, results))
    outline = np.array([[5, 5], [59, 5], [59, 59], [5, 59]], float)
    faces = [Face(EYES * SIDE / 112, outline)] * 5
    made = Compositor(faces, np.arange(5) / 25, [*range(5)], crops, results)
    patch = made.make_patch(2, results[2])
    inside = patch.mask == 255
    found, wanted = patch.image[inside].astype(float), crops[2][inside].astype(float)
    np.testing.assert_allclose(found.mean(0), wanted.mean(0), atol=2)
    np.testing.assert_allclose(found.std(0), wanted.std(0), rtol=0.1)
    assert not patch.mask[:5].any() and not patch.mask[:, :5].any()
    assert inside[15:50, 15:50].all()
    steps = np.diff(patch.mask[32].astype(int))
    assert np.abs(steps).max() < 80  # feathered


def test_the_mask_ends_where_the_actor_does():
    faces = [Face(EYES * SIDE / 112, np.array([[0, 0], [64, 0], [64, 64], [0, 64.0]]))]
    images = np.full((1, SIDE, SIDE, 3), 100, np.uint8)
    images[:, :, 40:] = 0
    images[:, 30:34, 15:25] = 0  # a dark mouth is no hole
    made = Compositor(faces, np.zeros(1), [0], images, images)
    mask = made.make_patch(0, images[0]).mask
    assert not mask[:, 40:].any() and mask[32, 20] == 255
    assert not mask[0].any() and not mask[-1].any()  # nor a seam at the crop's edge


def test_a_patch_lies_where_its_matrix_says():
    frame = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    eyes = np.array([[60.0, 50.0], [95.0, 62.0]])
    matrix = find_similarity(eyes, EYES * SIDE / 112)
    patch = Patch(draw_actor(), np.full((SIDE, SIDE), 255, np.uint8), matrix)
    result = lay(frame, patch)
    for eye in eyes:
        assert np.abs(find_spot(result, eye) - eye).max() < 0.3
    blank = Patch(draw_actor(), np.zeros((SIDE, SIDE), np.uint8), matrix)
    np.testing.assert_array_equal(lay(frame, blank), frame)
    outside = Patch(patch.image, patch.mask, matrix + [[0, 0, 900], [0, 0, 0]])
    np.testing.assert_array_equal(lay(frame, outside), frame)
    half = Patch(
        patch.image, patch.mask, find_similarity(eyes - [75, 50], matrix_eyes())
    )
    assert (lay(frame, half)[:30, :30] != frame[:30, :30]).any()


def matrix_eyes():
    return EYES * SIDE / 112


def test_a_path_loses_its_jitter_and_keeps_its_movement():
    random = np.random.default_rng(0)
    times = np.cumsum(random.uniform(0.02, 0.06, 200))
    path = np.stack([30 * times**2 - 90 * times, 200 - 50 * times], axis=1)
    runs = np.zeros(200, int)
    np.testing.assert_allclose(smooth_path(path, times, runs), path, atol=1e-6)
    jitter = random.normal(0, 1, path.shape)
    left = smooth_path(path + jitter, times, runs) - path
    assert left.std() < 0.65 * jitter.std()
    step = np.where(np.arange(200)[:, None] < 100, 0.0, 50.0)
    runs = np.repeat([0, 1], 100)
    np.testing.assert_allclose(smooth_path(step, times, runs), step, atol=1e-9)
