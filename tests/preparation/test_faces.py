"""`prepare --faces`: where eyes come to lie, masks, pictures without a face.

Most tests put a detector in place of the real one, which is an extra: it takes a red
and a blue spot for eyes. Those at the end need the extra and are left out without it;
they look for the example's drawn faces.
"""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from examples.faces import render
from examples.people import make_identity
from examples.performance import perform
from tests.drawing import make_faces
from tests.files import ROOT, files_below, load, write_crops, write_video
from vae.images import networks
from vae.images.networks import EYES, is_installed
from vae.preparation import faces, pipeline
from vae.preparation.faces import Face

OUTLINE = np.array([[-0.5, -1], [1.5, -1], [1.5, 1.5], [-0.5, 1.5]])  # in eye distances


class SpotDetector:
    """Finds eyes in pictures that `draw_spots` drew."""

    def __init__(self, threads):
        pass

    def find(self, image):
        """Returns a `Face`, or None where there are no spots."""
        eyes = find_spots(image)
        if eyes is None:
            return None
        along = eyes[1] - eyes[0]
        axes = np.stack([along, [-along[1], along[0]]])
        return Face(eyes, eyes[0] + OUTLINE @ axes)


def find_spots(image):
    """Returns the middles of the red and the blue spot, (2, 2) as (x, y), or None."""
    weights = [image[..., c].astype(float) - image[..., 1] for c in (0, 2)]
    weights = [weight.clip(40, None) - 40 for weight in weights]
    if min(weight.sum() for weight in weights) == 0:
        return None
    y, x = np.indices(image.shape[:2]) + 0.5
    return np.array(
        [[np.average(x, weights=w), np.average(y, weights=w)] for w in weights]
    )


def draw_spots(eyes, radius, width=320, height=240):
    """Draws a gray picture with a red and a blue spot."""
    y, x = np.indices((height, width)) + 0.5
    image = np.full((height, width, 3), 90.0)
    for (at_x, at_y), colour in zip(eyes, ([255, 0, 0], [0, 0, 255]), strict=True):
        inside = np.clip(radius + 0.5 - np.hypot(x - at_x, y - at_y), 0, 1)[..., None]
        image = image * (1 - inside) + inside * colour
    return image.astype(np.uint8)


@pytest.fixture
def spots(monkeypatch):
    """Puts the stand-in in place of the detector."""
    monkeypatch.setattr(pipeline, "FaceDetector", SpotDetector)
    monkeypatch.setattr("vae.commands.prepare.is_installed", lambda: True)


@pytest.mark.parametrize(
    "eyes", [[[130, 90], [190, 90]], [[80, 150], [200, 90]], [[150, 80], [165, 96]]]
)
@pytest.mark.parametrize(
    "options, size",
    [([], (112, 112)), (["--width", "64"], (64, 64)), (["--height", "80"], (80, 80))],
)
def test_eyes_come_to_their_place(tmp_path, run_cli, spots, eyes, options, size):
    radius = np.hypot(*np.subtract(*eyes)) / 8
    folder = write_crops(tmp_path / "photos", [draw_spots(eyes, radius)])
    output = tmp_path / "data.h5"
    assert run_cli("prepare", "--faces", *options, folder, output)[0] == 0
    [crop], names, frames = load(output)
    assert crop.shape == (size[1], size[0], 3)
    assert np.abs(find_spots(crop) - EYES * size[0] / 112).max() < 0.2
    assert names == ["photos/frame_det_00_000001.bmp"] and frames == [1]


def test_a_crop_that_is_not_square_has_the_face_in_its_middle(tmp_path, run_cli, spots):
    folder = write_crops(tmp_path / "a", [draw_spots([[130, 90], [190, 90]], 6)])
    size = ["--width", "100", "--height", "56"]
    assert run_cli("prepare", "--faces", *size, folder, tmp_path / "data.h5")[0] == 0
    [crop], _, _ = load(tmp_path / "data.h5")
    assert np.abs(find_spots(crop) - (EYES / 2 + [22, 0])).max() < 0.2


def test_a_large_photo_is_averaged_and_not_sampled(tmp_path, run_cli, spots):
    image = draw_spots([[300, 250], [600, 250]], 30, 900, 700)
    image[340:] = np.indices((360, 900)).sum(axis=0)[..., None] % 2 * 255
    folder = write_crops(tmp_path / "a", [image], "{}.png")
    assert run_cli("prepare", "--faces", folder, tmp_path / "data.h5")[0] == 0
    [crop], _, _ = load(tmp_path / "data.h5")
    assert np.abs(crop[60:96].astype(int) - 127).max() <= 2


def test_a_mask_blackens_what_is_outside_the_outline(tmp_path, run_cli, spots):
    folder = write_crops(tmp_path / "a", [draw_spots([[130, 90], [190, 90]], 6)])
    plain, masked = tmp_path / "plain.h5", tmp_path / "masked.h5"
    assert run_cli("prepare", "--faces", folder, plain)[0] == 0
    assert run_cli("prepare", "--faces", "--mask", folder, masked)[0] == 0
    [before], [after] = load(plain)[0], load(masked)[0]
    inside = np.zeros((112, 112), bool)
    inside[:105, 9:104] = True  # the eyes are 46 apart, from (33, 34)
    assert before.all(axis=2).sum() > 12000
    assert np.array_equal(after[:102, 11:101], before[:102, 11:101])
    assert not after[~inside].any()


def test_pictures_without_a_face_are_skipped_and_counted(tmp_path, run_cli, spots):
    face = draw_spots([[130, 90], [190, 90]], 6)
    images = [face, np.full_like(face, 90), face]
    folder = write_crops(tmp_path / "a", images, "{}.png")
    status, out, _ = run_cli("prepare", "--faces", folder, tmp_path / "data.h5")
    assert status == 0
    assert out.splitlines()[1] == "skipped: 1 pictures without a face"
    assert load(tmp_path / "data.h5")[1] == ["a/1.png", "a/3.png"]


def test_inputs_without_any_face_are_listed(tmp_path, run_cli, spots):
    face = draw_spots([[130, 90], [190, 90]], 6)
    good = write_crops(tmp_path / "good", [face])
    bad = write_crops(tmp_path / "bad", [np.full_like(face, 90)] * 3)
    status, _, err = run_cli("prepare", "--faces", good, bad, tmp_path / "data.h5")
    assert status == 1
    assert err.splitlines()[-2:] == [
        "bad: no face found in 3 pictures",
        "1 could not be used",
    ]
    assert len(load(tmp_path / "data.h5")[0]) == 1
    output = tmp_path / "none" / "data.h5"
    photo = bad / "frame_det_00_000001.bmp"
    status, _, err = run_cli("prepare", "--faces", photo, output)
    assert status == 1
    assert err.splitlines() == [
        f"{photo}: no face found",
        "1 could not be used",
        f"vae.py prepare: error: {output}: not written, since no face was found",
    ]
    assert not files_below(tmp_path / "none")


def test_frames_of_a_video_without_a_face(tmp_path, run_cli, spots):
    pytest.importorskip("av")

    face = draw_spots([[130, 90], [190, 90]], 6)
    images = np.stack([face, np.full_like(face, 90), face])
    clip = write_video(tmp_path / "clip.mp4", images)
    assert run_cli("prepare", "--faces", clip, tmp_path / "data.h5")[0] == 0
    assert load(tmp_path / "data.h5")[2] == [0, 2]
    still = write_video(tmp_path / "still.mp4", images[[1, 1]])
    status, _, err = run_cli("prepare", "--faces", still, tmp_path / "no.h5")
    assert status == 1 and "still.mp4: no face found in 2 pictures" in err
    assert files_below(tmp_path) == ["clip.mp4", "data.h5", "still.mp4"]


def test_what_is_in_the_file_is_not_cut_again(tmp_path, run_cli, spots):
    old = write_crops(tmp_path / "old", make_faces(3, 56, 56))
    output = tmp_path / "data.h5"
    assert run_cli("prepare", old, output)[0] == 0
    new = write_crops(tmp_path / "new", [draw_spots([[130, 90], [190, 90]], 6)])
    assert run_cli("prepare", "--append", "--faces", new, output)[0] == 0
    images = load(output)[0]
    assert np.array_equal(images[:3], make_faces(3, 56, 56))
    assert np.abs(find_spots(images[3]) - EYES / 2).max() < 0.2


@pytest.mark.parametrize("off, told", [(0, True), (3, True), (6, False)])
def test_row_99_crops_that_are_cut_already_are_told(
    tmp_path, run_cli, spots, off, told
):
    places = 2 * (EYES + off)  # in a crop of 224 pixels
    crops = write_crops(tmp_path / "crops", np.stack([draw_spots(places, 9, 224, 224)]))
    _, out, _ = run_cli("prepare", "--faces", crops, tmp_path / "out.h5")
    line = "--faces: 1 pictures are face crops already, and were cut once more; leave"
    assert (line in out) == told


def test_requests_that_can_not_work_are_refused(tmp_path, monkeypatch, run_cli):
    folder, output = write_crops(tmp_path / "a", make_faces(1)), tmp_path / "data.h5"
    status, _, err = run_cli("prepare", "--mask", folder, output)
    assert status == 2 and "--mask: found without --faces" in err
    monkeypatch.setattr(networks, "Interpreter", None)
    status, _, err = run_cli("prepare", "--faces", folder, output)
    assert status == 2 and err.count("\n") == 1
    assert "--faces: " in err and "pip install 'vae-faces[faces]'" in err
    assert not output.exists()


needs_extra = pytest.mark.skipif(not is_installed(), reason="needs the extra faces")


def paste_drawn(frame, middle, side, angle, identity=0):
    """Pastes a drawn face, turned by some degrees, onto a frame (H, W, 3)."""
    [face] = render(make_identity(identity), perform(0, 1), 128, 128)
    picture = Image.fromarray(face).resize((side, side), Image.Resampling.BICUBIC)
    canvas = Image.fromarray(frame)
    inside = Image.new("L", picture.size, 255).rotate(angle, expand=True)
    picture = picture.rotate(angle, Image.Resampling.BICUBIC, expand=True)
    corner = (middle[0] - picture.width // 2, middle[1] - picture.height // 2)
    canvas.paste(picture, corner, inside)
    return np.asarray(canvas)


@needs_extra
def test_a_drawn_face_is_found_wherever_it_is(tmp_path):
    frame = np.full((400, 500, 3), 90, np.uint8)
    images = [
        paste_drawn(frame, (250, 200), 200, 0),
        paste_drawn(frame, (200, 220), 240, 15),
        paste_drawn(frame, (300, 180), 180, -20),
        frame,
    ]
    folder = write_crops(tmp_path / "photos", images, "{}.png")
    output = tmp_path / "data.h5"
    command = [sys.executable, ROOT / "vae.py", "prepare", "--faces", folder, output]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stderr == ""
    assert "skipped: 1 pictures without a face" in done.stdout
    first, *others = load(output)[0][:, 16:96, 16:96].astype(int)
    for other in others:
        assert np.corrcoef(first.ravel(), other.ravel())[0, 1] > 0.9


@needs_extra
def test_the_largest_of_two_faces_is_taken():
    frame = paste_drawn(np.full((400, 600, 3), 90, np.uint8), (150, 200), 150, 0)
    frame = paste_drawn(frame, (420, 200), 240, 0, identity=1)
    face = faces.FaceDetector(1).find(frame)
    assert (face.eyes[:, 0] > 300).all() and face.eyes[0, 0] < face.eyes[1, 0]
    assert face.outline[:, 1].min() < face.eyes[:, 1].min()
    assert face.outline[:, 1].max() > face.eyes[:, 1].max() + 40
