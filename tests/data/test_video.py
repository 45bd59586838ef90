"""Behaviour of `prepare` on videos: frames, thinning, rotation, damage, playlists."""

import numpy as np
import pytest

from tests.drawing import make_faces
from tests.files import files_below, load, write_video
from vae.data import video

av = pytest.importorskip("av")


def test_frames_are_exact_and_in_order(tmp_path, run_cli):
    images = make_faces(70, 24, 32)
    clip = write_video(tmp_path / "clip.mp4", images)
    output = tmp_path / "data.h5"
    status, out, _ = run_cli("prepare", clip, output)
    assert status == 0
    assert out.startswith(f"{output}: 70 images, 32x24 RGB\n")
    data, names, frames = load(output)
    assert np.array_equal(data, images)
    assert names == ["clip.mp4"] * 70 and frames == list(range(70))


def test_every_takes_one_of_so_many(tmp_path, run_cli):
    images = make_faces(70, 24, 32)
    clip = write_video(tmp_path / "clip.mkv", images)
    output = tmp_path / "data.h5"
    assert run_cli("prepare", "--every", "7", clip, output)[0] == 0
    data, _, frames = load(output)
    assert np.array_equal(data, images[::7]) and frames == list(range(0, 70, 7))


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_turned_video_comes_out_upright(tmp_path, run_cli, turns):
    images = make_faces(5, 24, 32)
    stored = np.ascontiguousarray(np.rot90(images, -turns, (1, 2)))
    clip = write_video(tmp_path / "clip.mp4", stored)
    content = bytearray(clip.read_bytes())
    where = content.index(b"tkhd") + 4 + 40  # the matrix in the track's header
    cos, sin = [(1, 0), (0, 1), (-1, 0), (0, -1)][turns]
    matrix = [cos, -sin, 0, sin, cos, 0, 0, 0]
    for index, value in enumerate(matrix):
        at = where + 4 * index
        content[at : at + 4] = (value << 16).to_bytes(4, "big", signed=True)
    clip.write_bytes(content)
    output = tmp_path / "data.h5"
    assert run_cli("prepare", clip, output)[0] == 0
    assert np.array_equal(load(output)[0], images)


def test_a_damaged_end_is_listed_and_the_start_kept(tmp_path, run_cli):
    images = np.random.default_rng(0).integers(0, 256, (60, 24, 32, 3), np.uint8)
    clip = write_video(tmp_path / "clip.avi", images, "png", "rgb24", {"pred": "none"})
    content = bytearray(clip.read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    clip.write_bytes(content)
    output = tmp_path / "data.h5"
    status, out, err = run_cli("prepare", clip, output)
    data = load(output)[0]
    assert 20 < len(data) < 40 and np.array_equal(data, images[: len(data)])
    assert status == 1
    assert err.splitlines()[-2].startswith("clip.avi: what follows is damaged (")


@pytest.mark.parametrize(
    "name, coding", [("clip.avi", ["png", "rgb24", {"pred": "none"}]), ("clip.mkv", [])]
)
def test_a_video_that_was_cut_short_is_listed(tmp_path, run_cli, name, coding):
    images = np.random.default_rng(0).integers(0, 256, (60, 24, 32, 3), np.uint8)
    clip = write_video(tmp_path / name, images, *coding)
    content = clip.read_bytes()
    clip.write_bytes(content[: len(content) // 2])
    status, out, err = run_cli("prepare", clip, tmp_path / "data.h5")
    count = len(load(tmp_path / "data.h5")[0])
    assert status == 1 and 20 < count < 40
    lines = [f"{name}: {count} of 60 frames found, the file is cut short"]
    assert err.splitlines()[-2:] == [*lines, "1 could not be used"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"plain text",
        b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nclip.mp4\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile clip.mp4\n",
    ],
)
def test_what_is_no_video_is_refused(tmp_path, monkeypatch, run_cli, content):
    write_video(tmp_path / "clip.mp4", make_faces(3, 24, 32))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.mp4").write_bytes(content)
    status, _, err = run_cli("prepare", "bad.mp4", "data.h5")
    assert status == 2
    assert "bad.mp4: not a video that can be read" in err and err.count("\n") == 1
    assert files_below(tmp_path) == ["bad.mp4", "clip.mp4"]


def test_a_sound_file_is_refused(tmp_path, run_cli):
    path = tmp_path / "sound.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
    status, _, err = run_cli("prepare", path, tmp_path / "data.h5")
    assert status == 2 and "(no picture in it)" in err


def test_the_missing_extra_is_named(tmp_path, monkeypatch, run_cli):
    monkeypatch.setattr(video, "av", None)
    (tmp_path / "clip.mp4").write_bytes(b"x")
    status, _, err = run_cli("prepare", tmp_path / "clip.mp4", tmp_path / "data.h5")
    assert status == 2 and "pip install 'vae-faces[video]'" in err
