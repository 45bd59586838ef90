"""`reconstruct` from anything to anything: videos, HDF5 files, films, many people."""

import os
import signal
from fractions import Fraction
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from PIL import Image

from tests.actors import write_model
from tests.drawing import make_faces
from tests.files import files_below, write_crops, write_video
from tests.films import read_times
from vae.data.video import mend_times
from vae.images.sheets import LABEL_HEIGHT
from vae.reconstruction import footage, session

FACES = make_faces(20, 16, 16, seed=2)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model") / "model")


@pytest.fixture
def crops(tmp_path):
    return write_crops(tmp_path / "crops", FACES, "{:02}.png")


@pytest.fixture
def expected(model, crops, tmp_path, run_cli):
    """What the folder of crops becomes, uint8 (N, H, W, C)."""
    assert run_cli("reconstruct", model, crops, tmp_path / "expected")[0] == 0
    return read_folder(tmp_path / "expected")


def read_folder(folder):
    pictures = []
    for path in sorted(folder.rglob("*.png")):
        with Image.open(path) as picture:
            pictures.append(np.asarray(picture))
    return np.stack(pictures)


def read_film(path):
    """Returns the frames of an animation, and how long each is shown, in ms."""
    frames, lengths = [], []
    with Image.open(path) as film:
        for number in range(film.n_frames):
            film.seek(number)
            frames.append(np.asarray(film.convert("RGB")))
            lengths.append(film.info["duration"])
    return np.stack(frames), lengths


@pytest.mark.parametrize("held", [footage.HOLD_BYTES, 5000])
def test_a_video_and_a_data_file_become_what_the_folder_does(
    held, model, expected, crops, tmp_path, run_cli, monkeypatch
):
    pytest.importorskip("av")
    monkeypatch.setattr(footage, "HOLD_BYTES", held)  # the rest goes to a file
    clip, data = tmp_path / "clip.mp4", tmp_path / "data.h5"
    write_video(clip, FACES)
    assert run_cli("prepare", crops, data)[0] == 0
    for path, name in ((clip, "clip_000007.png"), (data, "data_000007.png")):
        out = tmp_path / f"out_{path.stem}"
        status, told, _ = run_cli("reconstruct", model, path, out)
        # They are a stranger's, whose PSNR would mean nothing.
        sheet = f"{out}.sheet.png"
        assert status == 0
        assert told == f"20 of 20 crops in {out}\nat a glance: {sheet}\n"
        with Image.open(sheet) as picture:  # twelve crops above the actor
            assert picture.height == LABEL_HEIGHT + 2 * 16 + 2
            assert picture.width > 12 * 16
        assert files_below(out)[7] == name
        np.testing.assert_array_equal(read_folder(out), expected)


def test_a_folder_becomes_a_film(model, expected, crops, tmp_path, run_cli):
    film = tmp_path / "film.png"
    line = ["reconstruct", "--fps", 10, model, crops, film]
    assert run_cli(*line)[:2][0] == 0
    frames, lengths = read_film(film)
    np.testing.assert_array_equal(frames, expected)
    assert set(lengths) == {100}
    assert run_cli(*line)[0] == 2  # it is there
    line = ["reconstruct", "--side-by-side", "--overwrite", model, crops, film]
    assert run_cli(*line)[0] == 0
    frames, lengths = read_film(film)
    assert set(lengths) == {40} and frames.shape[1:] == (16 + LABEL_HEIGHT, 32, 3)
    np.testing.assert_array_equal(frames[:, LABEL_HEIGHT:, :16], FACES)
    np.testing.assert_array_equal(frames[:, LABEL_HEIGHT:, 16:], expected)
    assert frames[0, :LABEL_HEIGHT].any()


def test_a_film_keeps_the_times_of_its_source(model, tmp_path, run_cli):
    av = pytest.importorskip("av")
    clip, film, tick = tmp_path / "clip.mp4", tmp_path / "film.mp4", Fraction(1, 90000)
    starts = 900 + np.cumsum(np.random.default_rng(0).integers(1000, 9000, len(FACES)))
    with av.open(str(clip), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"bf": "2"})
        stream.width = stream.height = 16
        stream.codec_context.time_base = stream.time_base = tick
        for image, start in zip(FACES, starts, strict=True):
            frame = av.VideoFrame.from_ndarray(image, "rgb24")
            frame.pts, frame.time_base = int(start), tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    status, out, err = run_cli("reconstruct", model, clip, film)
    assert status == 0 and out.startswith(f"20 of 20 frames in {film}\n")
    times = read_times(film)
    assert times == read_times(clip) and len(set(np.diff(times))) > 9


def test_what_cannot_be_read_is_left_out_and_listed(model, crops, tmp_path, run_cli):
    (crops / "03.png").write_bytes(b"no")
    film = tmp_path / "film.gif"
    status, out, err = run_cli("reconstruct", model, crops, film)
    assert status == 1 and out.startswith(f"19 of 20 frames in {film}\n")
    assert err.splitlines()[-1] == "1 of 20 could not be read"
    with Image.open(film) as found:
        assert found.n_frames == 19


def test_each_folder_is_another_person(model, crops, tmp_path, run_cli):
    people, out = tmp_path / "people", tmp_path / "out"
    for name, part in (("ann", slice(0, 10)), ("bob", slice(10, 20))):
        write_crops(people / name, FACES[part], "{:02}.png")
    status, told, _ = run_cli("reconstruct", "--each", model, people, out)
    assert status == 0
    assert [line for line in told.splitlines() if line.endswith(":")] == [
        f"{people / name}:" for name in ("ann", "bob")
    ]
    for name in ("ann", "bob"):
        alone = tmp_path / name
        assert run_cli("reconstruct", model, people / name, alone)[0] == 0
        np.testing.assert_array_equal(read_folder(out / name), read_folder(alone))


def test_a_direction_changes_all_codes(model, crops, tmp_path, run_cli):
    codes = tmp_path / "codes.npz"
    ends = [crops / "01.png", crops / "02.png"]
    found = []
    for strength in (0, 1, -2):
        line = ["reconstruct", "--align", "none", "--latents", codes, "--overwrite"]
        line += ["--direction-strength", strength, model, crops, tmp_path / "out"]
        assert run_cli(*line, "--direction", *ends)[0] == 0
        with np.load(codes) as stored:
            found.append(stored["z_mean"])
    step = found[0][1] - found[0][0]
    np.testing.assert_allclose(found[1] - found[0], np.tile(step, (20, 1)), atol=1e-4)
    np.testing.assert_allclose(found[2] - found[0], -2 * (found[1] - found[0]), 1e-2)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_film_is_not_there(
    number, model, crops, tmp_path, run_cli, monkeypatch
):
    film, decode = tmp_path / "film.gif", session.psnr

    def stop(*arguments):
        os.kill(os.getpid(), number)
        return decode(*arguments)

    monkeypatch.setattr(session, "psnr", stop)
    status, _, err = run_cli("reconstruct", model, crops, film)
    assert status == 128 + number and f"{film}: stopped, not written" in err
    assert all(name.endswith(".png") for name in files_below(tmp_path))


def test_the_layout_of_a_data_file_is_told(tmp_path, run_cli):
    model = write_model(tmp_path / "model", 20, 16)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["data"] = make_faces(9, 16, 20).swapaxes(1, 2)
    out = tmp_path / "out"
    status, _, err = run_cli("reconstruct", model, tmp_path / "a.h5", out)
    assert status == 0 and "--layout: images of 20 x 16 are read as 20 wide" in err
    assert read_folder(out).shape == (9, 16, 20, 3)


def test_a_video_that_was_cut_short_is_used_and_listed(model, tmp_path, run_cli):
    pytest.importorskip("av")
    noise = np.random.default_rng(0).integers(0, 256, (60, 16, 16, 3), np.uint8)
    clip, film = tmp_path / "clip.avi", tmp_path / "film.gif"
    write_video(clip, noise, "png", "rgb24", {"pred": "none"})
    content = clip.read_bytes()
    clip.write_bytes(content[: len(content) // 2])
    status, out, err = run_cli("reconstruct", model, clip, film)
    with Image.open(film) as found:
        count = found.n_frames
    assert status == 1 and 20 < count < 40
    assert out.startswith(f"{count} of {count} frames in {film}\n")
    assert f"{clip}: {count} of 60 frames found, the rest is cut off or" in err


def test_times_that_go_back_or_are_missing_are_mended():
    frames = [SimpleNamespace(pts=pts, duration=2) for pts in (4, 6, 6, None, 3, 20)]
    found = [start for start, *_ in mend_times(frames, 25)]
    assert found == [4, 6, 8, 10, 12, 20]
