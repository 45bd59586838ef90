"""Behaviour of `prepare` on videos: frames, thinning, rotation, damage, playlists."""

import gc
from fractions import Fraction

import numpy as np
import pytest

from benchmarks.faults import bombs
from tests.drawing import make_faces
from tests.files import files_below, load, write_video
from vae.data import video
from vae.images import reading
from vae.images.pixels import Target, resize_image

av = pytest.importorskip("av")

TARGET = Target(32, 24, 3, "crop")


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


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_row_87_a_turned_or_mirrored_video_is_upright(tmp_path, run_cli, turns, flip):
    images = make_faces(5, 24, 32)
    stored = images[:, :, ::-1] if flip else images
    stored = np.ascontiguousarray(np.rot90(stored, -turns, (1, 2)))
    clip = write_video(tmp_path / "clip.mp4", stored)
    content = bytearray(clip.read_bytes())
    where = content.index(b"tkhd") + 4 + 40  # the matrix in the track's header
    cos, sin = [(1, 0), (0, 1), (-1, 0), (0, -1)][turns]
    side = -1 if flip else 1
    matrix = [cos * side, -sin, 0, sin * side, cos, 0, 0, 0]
    for index, value in enumerate(matrix):
        at = where + 4 * index
        content[at : at + 4] = (value << 16).to_bytes(4, "big", signed=True)
    clip.write_bytes(content)
    output = tmp_path / "data.h5"
    assert run_cli("prepare", clip, output)[0] == 0
    assert np.array_equal(load(output)[0], images)


def test_row_88_a_damaged_end_is_listed_and_the_start_kept(tmp_path, run_cli):
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
    found = f"clip.avi: {len(data)} of 60 frames found, the rest is cut off or damaged"
    assert err.splitlines()[-2] == found


@pytest.mark.parametrize(
    "name, coding", [("clip.avi", ["png", "rgb24", {"pred": "none"}]), ("clip.mkv", [])]
)
def test_row_88_a_video_that_was_cut_short_is_listed(tmp_path, run_cli, name, coding):
    images = np.random.default_rng(0).integers(0, 256, (60, 24, 32, 3), np.uint8)
    clip = write_video(tmp_path / name, images, *coding)
    content = clip.read_bytes()
    clip.write_bytes(content[: len(content) // 2])
    status, out, err = run_cli("prepare", clip, tmp_path / "data.h5")
    count = len(load(tmp_path / "data.h5")[0])
    assert status == 1 and 20 < count < 40
    found = f"{count} of 60 frames" if name == "clip.avi" else "1.2 of 2.4 seconds"
    lines = [f"{name}: {found} found, the rest is cut off or damaged"]
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


def write_sound(container, seconds):
    """Adds silence; the streams were made before."""
    sound = container.streams.audio[0]
    for start in range(0, int(seconds * 8000), 800):
        silence = np.zeros((1, 800), np.int16)
        frame = av.AudioFrame.from_ndarray(silence, "s16", "mono")
        frame.sample_rate, frame.pts = 8000, start
        container.mux(sound.encode(frame))


def encode_frames(container, images, times=None, ratio=None):
    stream = container.add_stream("libx264rgb", rate=25, options={"qp": "0"})
    stream.height, stream.width = images.shape[1:3]
    stream.pix_fmt = "rgb24"
    if ratio:
        stream.codec_context.sample_aspect_ratio = ratio
    if times:
        stream.codec_context.time_base = Fraction(1, 1000)
    return stream


def mux_frames(container, images, times=None):
    stream = container.streams.video[0]
    for place, image in enumerate(images):
        frame = av.VideoFrame.from_ndarray(image, "rgb24")
        if times:
            frame.pts, frame.time_base = times[place], Fraction(1, 1000)
        container.mux(stream.encode(frame))
    container.mux(stream.encode())


def test_row_88_sound_longer_than_the_pictures_is_no_damage(tmp_path, run_cli):
    images = make_faces(20, 24, 32)
    with av.open(str(tmp_path / "clip.mkv"), "w") as container:
        encode_frames(container, images)
        container.add_stream("pcm_s16le", rate=8000, layout="mono")
        mux_frames(container, images)
        write_sound(container, 6)
    status, _, err = run_cli("prepare", tmp_path / "clip.mkv", tmp_path / "data.h5")
    assert status == 0 and "cut off" not in err
    assert np.array_equal(load(tmp_path / "data.h5")[0], images)


def test_row_88_a_variable_rate_is_no_damage(tmp_path, run_cli):
    images, gaps = make_faces(30, 24, 32), np.tile([33, 100, 33, 367], 8)[:30]
    times = np.cumsum(gaps).tolist()
    with av.open(str(tmp_path / "clip.mkv"), "w") as container:
        encode_frames(container, images, times)
        mux_frames(container, images, times)
    status, _, err = run_cli("prepare", tmp_path / "clip.mkv", tmp_path / "data.h5")
    assert status == 0 and "cut off" not in err
    assert np.array_equal(load(tmp_path / "data.h5")[0], images)


@pytest.mark.parametrize("side", [1, -1])
def test_row_88_what_an_edit_list_leaves_out_is_no_damage(tmp_path, run_cli, side):
    images = make_faces(50, 24, 32)
    clip = write_video(tmp_path / "clip.mp4", images, options={"qp": "0", "bf": "0"})
    content = bytearray(clip.read_bytes())
    at = content.index(b"elst") + 12  # duration in 1/1000 s, start in 1/12800 s
    content[at : at + 4] = (1000).to_bytes(4)
    start = 25 * 512 if side > 0 else 0
    content[at + 4 : at + 8] = start.to_bytes(4)
    clip.write_bytes(content)
    status, _, err = run_cli("prepare", clip, tmp_path / "data.h5")
    assert status == 0 and "cut off" not in err
    expected = images[25:] if side > 0 else images[:25]
    found = load(tmp_path / "data.h5")[0]
    assert np.array_equal(found[: len(expected)], expected) and len(found) <= 27


@pytest.mark.parametrize("bad", [[10], [0], [10, 11, 30]])
def test_row_89_a_damaged_packet_is_passed_over_and_counted(tmp_path, run_cli, bad):
    images = make_faces(60, 24, 32)
    clip = write_video(tmp_path / "clip.mp4", images, options={"qp": "0", "g": "1"})
    with av.open(str(clip)) as container:
        entries = list(container.streams.video[0].index_entries)
        places = [(entry.pos, entry.size) for entry in entries]
    content = bytearray(clip.read_bytes())
    for at, size in (places[number] for number in bad):
        content[at : at + size] = bytes(size)
    clip.write_bytes(content)
    status, _, err = run_cli("prepare", clip, tmp_path / "data.h5")
    kept = [number for number in range(60) if number not in bad]
    data, _, frames = load(tmp_path / "data.h5")
    assert np.array_equal(data, images[kept]) and frames == kept
    be = "packet is" if len(bad) == 1 else "packets are"
    line = f"clip.mp4: {len(bad)} {be} damaged, the frames in them are left out"
    assert status == 1 and line in err.splitlines()


@pytest.mark.parametrize("ratio, size", [("2/1", (64, 24)), ("1/2", (32, 48))])
def test_row_87_pixels_that_are_not_square_are_made_so(tmp_path, run_cli, ratio, size):
    images = make_faces(5, 24, 32)
    with av.open(str(tmp_path / "clip.mp4"), "w") as container:
        encode_frames(container, images, ratio=Fraction(ratio))
        mux_frames(container, images)
    status, out, _ = run_cli("prepare", tmp_path / "clip.mp4", tmp_path / "data.h5")
    assert status == 0 and f"5 images, {size[0]}x{size[1]} RGB" in out
    expected = [resize_image(image, *size) for image in images]
    assert np.array_equal(load(tmp_path / "data.h5")[0], expected)


def test_row_90_frames_over_the_limit_are_refused_undecoded(
    tmp_path, monkeypatch, run_cli
):
    clip = write_video(tmp_path / "clip.mp4", make_faces(3, 24, 32))
    monkeypatch.setattr(reading, "MAX_SIDE", 31)
    monkeypatch.setattr(video.Film, "_decode", None)
    status, _, err = run_cli("prepare", clip, tmp_path / "data.h5")
    assert status == 2 and "(32x24 pixels, over 31 on one side)" in err


def test_row_90_a_size_that_grows_on_the_way_is_passed_over(
    tmp_path, monkeypatch, run_cli
):
    clip = tmp_path / "clip.avi"
    with av.open(str(clip), "w") as container:
        stream = container.add_stream("png", rate=25)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "rgb24"
        for place, side in enumerate([16] * 5 + [64] * 5):
            coder = av.CodecContext.create("png", "w")
            coder.width = coder.height = side
            coder.pix_fmt, coder.time_base = "rgb24", Fraction(1, 25)
            frame = av.VideoFrame.from_ndarray(make_faces(1, side, side)[0], "rgb24")
            frame.pts, frame.time_base = place, Fraction(1, 25)
            for packet in coder.encode(frame):
                packet.stream = stream
                container.mux(packet)
    status, _, err = run_cli("prepare", clip, tmp_path / "all.h5")
    assert status == 0, err
    assert len(load(tmp_path / "all.h5")[0]) == 10
    monkeypatch.setattr(video, "MAX_PIXELS", 32 * 32)
    status, _, err = run_cli("prepare", clip, tmp_path / "data.h5")
    assert status == 1 and len(load(tmp_path / "data.h5")[0]) == 5
    assert "5 packets are damaged, the frames in them are left out" in err


def test_row_90_a_ratio_that_makes_frames_huge_is_refused(tmp_path, run_cli):
    images, clip = make_faces(3, 24, 32), tmp_path / "clip.mp4"
    with av.open(str(clip), "w") as container:
        encode_frames(container, images, ratio=Fraction(2))
        mux_frames(container, images)
    content = bytearray(clip.read_bytes())
    at = content.index(b"pasp") + 4
    content[at : at + 8] = (60_000).to_bytes(4) + (1).to_bytes(4)
    clip.write_bytes(content)
    status, _, err = run_cli("prepare", clip, tmp_path / "data.h5")
    assert status == 2 and "pixels, over 65535 on one side)" in err


def test_row_90_frames_do_not_pile_up_until_python_collects_garbage(tmp_path):
    clip = write_video(tmp_path / "clip.mp4", make_faces(60, 24, 32))
    source = video.VideoSource(str(clip), 1)
    gc.collect()
    gc.disable()
    try:
        for unit in source.units(TARGET):
            source.load(unit, TARGET)
            del unit
        alive = sum(isinstance(item, av.VideoFrame) for item in gc.get_objects())
    finally:
        gc.enable()
    assert alive < 40  # a unit, and one whose matrix was looked at


def test_row_90_of_many_streams_no_more_than_the_limit_are_opened(tmp_path, run_cli):
    bombs.many_streams(tmp_path / "clip.mkv")
    status, _, err = run_cli("prepare", tmp_path / "clip.mkv", tmp_path / "data.h5")
    assert status == 0, err
    with video._open(str(tmp_path / "clip.mkv")) as film:
        assert len(film.container.streams) <= video.MAX_STREAMS


def test_row_90_a_title_in_another_encoding_is_no_fault(tmp_path, run_cli):
    clip = tmp_path / "clip.mp4"
    with av.open(str(clip), "w") as container:
        container.metadata["title"] = "a title"
        encode_frames(container, make_faces(3, 24, 32))
        mux_frames(container, make_faces(3, 24, 32))
    clip.write_bytes(clip.read_bytes().replace(b"a title", b"\xfcber!!"))
    status, _, err = run_cli("prepare", clip, tmp_path / "data.h5")
    assert status == 0, err


def test_row_91_pictures_in_a_coding_that_is_not_known_are_refused(tmp_path, run_cli):
    clip = write_video(tmp_path / "clip.avi", make_faces(3, 24, 32), "png", "rgb24")
    clip.write_bytes(clip.read_bytes().replace(b"MPNG", b"QZ7!"))
    status, _, err = run_cli("prepare", clip, tmp_path / "data.h5")
    assert status == 2 and "(pictures in a coding that is not known)" in err
