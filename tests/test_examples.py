"""The example people: anyone can make any expression, every expression can be read
from the pixels, and what is written is what was asked for."""

import subprocess
import sys

import h5py
import numpy as np
import pytest
from PIL import Image

from examples import draw
from examples.faces import draw_face, render
from examples.people import ACCESSORIES, make_identity
from examples.performance import PARAMETERS, Expression, perform
from tests.files import ROOT

PEOPLE = range(len(ACCESSORIES))
POSITIVE = "mouth_open", "eyes", "frown"  # run from 0 to 1, the others from -1
READABLE = 0.9  # correlation of what is read from the pixels with what was drawn
# Rows of the picture, in parts of its height, that a parameter leaves alone.
UNTOUCHED = {
    "mouth_open": slice(0, 0.55),
    "smile": slice(0, 0.55),
    "mouth_width": slice(0, 0.55),
    "eyes": slice(0.6, 1),
    "brows": slice(0.5, 1),
    "frown": slice(0.5, 1),
    "gaze_x": slice(0.6, 1),
    "gaze_y": slice(0.6, 1),
}


@pytest.mark.parametrize("width, height", [(64, 64), (33, 50), (112, 112)])
def test_face_has_the_shape_asked_for(width, height):
    face = draw_face(make_identity(0), Expression(), width, height)
    assert face.shape == (height, width, 3)
    assert face.dtype == np.uint8


def test_face_fills_the_crop_and_is_black_around():
    for number in PEOPLE:
        face = draw_face(make_identity(number), Expression())
        assert 0.55 < (face.max(-1) > 0).mean() < 0.95
        assert not face[[0, 0, -1, -1], [0, -1, 0, -1]].any()


def test_same_arguments_draw_the_same_bytes():
    first = render(make_identity(4), perform(4, 5))
    assert first.shape == (5, 64, 64, 3)
    assert np.array_equal(first, render(make_identity(4), perform(4, 5)))


def test_no_frames_are_an_empty_array():
    assert render(make_identity(0), perform(0, 0), 20, 30).shape == (0, 30, 20, 3)


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameter_changes_the_picture_where_it_should(name):
    low = 0 if name in POSITIVE else -1
    for number in PEOPLE:
        ends = [
            draw_face(make_identity(number), Expression(**{name: value}))
            for value in (low, 1)
        ]
        changed = abs(np.subtract(*ends, dtype=int)).max(-1)  # (H, W)
        assert (changed > 20).sum() >= 20, f"person {number}"
        if name in UNTOUCHED:
            part = UNTOUCHED[name]
            rows = slice(int(part.start * 64), int(part.stop * 64))
            assert not changed[rows].any(), f"person {number}"


@pytest.mark.parametrize("name", ["gaze_x", "gaze_y"])
def test_gaze_changes_only_the_eyes(name):
    for number in PEOPLE:
        identity = make_identity(number)
        ends = [draw_face(identity, Expression(**{name: v})) for v in (-1, 1)]
        rows, columns = np.nonzero(np.any(ends[0] != ends[1], axis=-1))
        x = abs((columns + 0.5) / 32 - 1) - identity.eye_x
        y = (rows + 0.5) / 32 - 1 - identity.eye_y
        pixel = 2 / 64
        assert (abs(x) < identity.eye_width + pixel).all()
        assert (abs(y) < 1.3 * identity.eye_height + pixel).all()


def test_shut_eyes_hide_the_gaze():
    left, right = (
        draw_face(make_identity(0), Expression(eyes=0, gaze_x=side)) for side in (-1, 1)
    )
    assert np.array_equal(left, right)


def test_people_are_further_apart_than_expressions():
    faces = np.array([draw_face(make_identity(n), Expression()) for n in PEOPLE], int)
    apart = abs(faces[:, None] - faces).mean((2, 3, 4))
    smiling = draw_face(make_identity(0), Expression(smile=1, mouth_open=1))
    assert apart[~np.eye(len(PEOPLE), dtype=bool)].min() > 10
    assert abs(faces[0] - smiling).mean() < 10


def test_expression_can_be_read_from_the_pixels():
    count = 1200
    parameters = perform(0, count)
    faces = render(make_identity(0), parameters, 32, 32).reshape(count, -1) / 255
    # Nobody can tell where eyes look that are nearly shut.
    seen = parameters[:, PARAMETERS.index("eyes")] > 0.4
    for names, frames in (
        ([n for n in PARAMETERS if "gaze" not in n], np.ones(count, bool)),
        (["gaze_x", "gaze_y"], seen),
    ):
        columns = [PARAMETERS.index(name) for name in names]
        before = np.arange(count) < 0.8 * count
        read = _fit_ridge(faces[frames & before], parameters[frames & before])
        after = frames & ~before
        for name, column in zip(names, columns, strict=True):
            pair = read(faces[after])[:, column], parameters[after, column]
            assert np.corrcoef(*pair)[0, 1] > READABLE, name


def _fit_ridge(inputs, targets, penalty=1.0):
    mean, offset = inputs.mean(0), targets.mean(0)
    centred = inputs - mean
    kernel = centred @ centred.T + penalty * np.eye(len(inputs))
    weights = centred.T @ np.linalg.solve(kernel, targets - offset)
    return lambda others: (others - mean) @ weights + offset


@pytest.mark.parametrize("seed", range(5))
def test_performance_covers_its_ranges_smoothly_and_independently(seed):
    parameters = perform(seed, 1500)
    assert parameters.shape == (1500, len(PARAMETERS))
    assert parameters.dtype == np.float32
    for name, column in zip(PARAMETERS, parameters.T, strict=True):
        low = 0 if name in POSITIVE else -1
        assert low <= column.min() < low + 0.1 and 0.9 < column.max() <= 1
        counts, _ = np.histogram(column, bins=8, range=(low, 1))
        # Eyes are nearly shut in a blink only.
        assert counts[2 if name == "eyes" else 0 :].min() > 1500 / 8 / 4, name
    assert abs(np.diff(parameters, axis=0)).max() < 0.6
    assert abs(np.diff(parameters, axis=0)).mean() < 0.1
    related = np.corrcoef(parameters.T) - np.eye(len(PARAMETERS))
    assert abs(related).max() < 0.25


def test_longer_performance_begins_with_the_shorter():
    assert np.array_equal(perform(3, 700)[:450], perform(3, 450))


def test_seeds_perform_differently():
    first, second = perform(0, 600), perform(1, 600)
    assert abs(first - second).mean(0).min() > 0.15


def test_file_holds_faces_parameters_and_names(tmp_path, capsys):
    path = tmp_path / "actor.h5"
    options = "--identity 2 --seed 7 --frames 30 --width 40 --height 24".split()
    assert draw.main([str(path), *options]) == 0
    assert capsys.readouterr().out == f"{path}\n"
    with h5py.File(path) as file:
        assert (file.attrs["identity"], file.attrs["seed"]) == (2, 7)
        assert tuple(file["parameters"].attrs["names"]) == PARAMETERS
        parameters, faces = file["parameters"][:], file["data"][:]
        assert file["data"].chunks == (30, 24, 40, 3)
        assert file["data"].compression_opts == 1
    assert np.array_equal(parameters, perform(7, 30))
    assert np.array_equal(faces, render(make_identity(2), parameters, 40, 24))
    assert list(tmp_path.iterdir()) == [path]


def test_chunks_are_whole_images_of_about_a_megabyte(tmp_path):
    path = tmp_path / "actor.h5"
    draw.write_file(path, 0, 0, perform(0, 30), 128, 128)
    with h5py.File(path) as file:
        assert file["data"].chunks == (21, 128, 128, 3)
        last = render(make_identity(0), perform(0, 30)[29:], 128, 128)
        assert np.array_equal(file["data"][29:], last)


def test_folder_holds_the_same_faces(tmp_path):
    path = tmp_path / "stranger"
    assert draw.main(["--folder", str(path), "--frames", "3"]) == 0
    names = ["frame_000001.png", "frame_000002.png", "frame_000003.png"]
    assert sorted(p.name for p in path.iterdir()) == names
    faces = [np.asarray(Image.open(path / name)) for name in names]
    assert np.array_equal(faces, render(make_identity(0), perform(0, 3)))


@pytest.mark.parametrize("target", ["--folder={}/new", "{}/old.h5"])
def test_stopped_drawing_changes_nothing(tmp_path, monkeypatch, target):
    def stop_halfway(*_):
        yield 0, np.zeros((1, 64, 64, 3), np.uint8)
        raise KeyboardInterrupt

    old = tmp_path / "old.h5"
    old.write_bytes(b"precious")
    monkeypatch.setattr(draw, "_draw_blocks", stop_halfway)
    with pytest.raises(KeyboardInterrupt):
        draw.main([target.format(tmp_path), "--frames", "3"])
    assert list(tmp_path.iterdir()) == [old]
    assert old.read_bytes() == b"precious"


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "expected OUT.h5, --folder or both"),
        (["{}/a.h5", "--frames", "0"], "--frames: '0': expected an integer >= 1"),
        (["{}/a.h5", "--seed", "x"], "--seed: 'x': expected an integer >= 0"),
        (["--folder", "{}"], "exists; expected a new folder"),
        (["{}/none/a.h5"], "there is no folder"),
    ],
)
def test_bad_arguments_are_refused(tmp_path, capsys, arguments, message):
    with pytest.raises(SystemExit) as stop:
        draw.main([argument.format(tmp_path) for argument in arguments])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_runs_as_a_script_from_any_folder(tmp_path):
    command = [sys.executable, ROOT / "examples" / "draw.py", "a.h5", "--frames", "2"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "a.h5\n", "")
