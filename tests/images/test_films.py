"""Films of every kind, as players other than their writer show them."""

from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from examples.scene import film_scene
from tests.drawing import make_faces
from tests.files import files_below
from tests.films import decode, needs_ffmpeg, probe, read_sound, read_times
from vae.errors import RefusedError, VaeError
from vae.images import films
from vae.images.films import Frame, check_film, write_film
from vae.parallel import AHEAD, count_cores

TICK = Fraction(1, 60)
COUNT, HEIGHT, WIDTH = 12, 47, 63
VIDEOS = ["a.mp4", "a.mov", "a.webm"]
ANIMATIONS = ["a.gif", "a.webp", "a.png"]
FINEST = {".mp4": 0, ".mov": 0, ".webm": 1 / 1000, ".gif": 1 / 100, ".png": 1e-4}


def need_av(name):
    """Skips a test of a video where the extra is missing."""
    if f".{name.split('.')[1]}" in films.VIDEOS:
        pytest.importorskip("av")


def make_frames(images, first=7):
    """Frames that last for 2, 3 and 4 ticks in turn."""
    lengths = [2 + number % 3 for number in range(len(images))]
    starts = first + np.cumsum([0, *lengths])
    return [
        Frame(*each) for each in zip(images, starts.tolist(), lengths, strict=False)
    ]


@needs_ffmpeg
@pytest.mark.parametrize("name", [*VIDEOS, "a.gif", "a.png"])
@pytest.mark.parametrize("channels", [1, 3])
def test_another_player_shows_the_frames_at_their_times(name, channels, tmp_path):
    need_av(name)
    images = make_faces(COUNT, HEIGHT, WIDTH, channels)
    path, frames = tmp_path / name, make_frames(images)
    assert write_film(path, frames, TICK) == COUNT
    is_video = path.suffix in films.VIDEOS
    width, height = WIDTH + is_video, HEIGHT + is_video  # even
    about, times = probe(path)
    assert (about["width"], about["height"]) == (width, height)
    begin = frames[0].start if is_video else 0
    expected = [(frame.start - 7 + begin) / 60 for frame in frames]
    assert np.abs(np.subtract(times, expected)).max() <= FINEST[path.suffix] / 2 + 2e-6
    found = decode(path, width, height)[:, :HEIGHT, :WIDTH].astype(int)
    difference = np.abs(found - np.broadcast_to(images, found.shape))
    assert len(found) == COUNT
    if is_video:  # colours have half the resolution
        assert difference.mean() < 2 and difference[:, 20:27, 28:35].max() <= 8
    else:
        assert difference.max() <= 4


def test_webp_holds_the_frames_and_their_times(tmp_path):
    images, path = make_faces(COUNT, HEIGHT, WIDTH), tmp_path / "a.webp"
    frames = make_frames(images)
    assert write_film(path, frames, TICK) == COUNT
    with Image.open(path) as film:
        assert (film.n_frames, film.size) == (COUNT, (WIDTH, HEIGHT))
        shown = 0
        for number, frame in enumerate(frames):
            film.seek(number)
            film.load()
            found = np.asarray(film.convert("RGB")).astype(int)
            assert np.abs(found - images[number]).mean() < 3
            shown += film.info["duration"]
            end = frame.start + frame.length - 7
            assert abs(shown - end * 1000 / 60) <= 0.5 + 1e-6


@pytest.mark.parametrize("name, finest", [("a.gif", 10), ("a.webp", 1), ("a.png", 0.1)])
def test_what_rounding_takes_it_gives_back(name, finest, tmp_path):
    frames = [Frame(image, at, 1) for at, image in enumerate(make_faces(60, 16, 16))]
    write_film(tmp_path / name, frames, Fraction(1001, 70_000))  # 14.3 ms
    shown = 0
    with Image.open(tmp_path / name) as film:
        for number in range(film.n_frames):
            film.seek(number)
            film.load()
            shown += film.info["duration"]
            assert abs(shown - (number + 1) * 14.3) <= finest / 2 + 1e-6


@pytest.mark.parametrize("name", [*VIDEOS, *ANIMATIONS])
def test_the_same_frames_give_the_same_bytes(name, tmp_path):
    need_av(name)
    frames, contents = make_frames(make_faces(COUNT)), []
    for _ in range(2):
        write_film(tmp_path / name, iter(frames), TICK)
        contents.append((tmp_path / name).read_bytes())
    assert contents[0] == contents[1]


@pytest.mark.parametrize("name", [*VIDEOS, *ANIMATIONS])
def test_one_frame_is_a_film(name, tmp_path):
    need_av(name)
    assert write_film(tmp_path / name, make_frames(make_faces(1)), TICK) == 1
    if name in ANIMATIONS:
        with Image.open(tmp_path / name) as film:
            found = np.asarray(film.convert("RGB")).astype(int)
        assert np.abs(found - make_faces(1)[0]).mean() < 3


@pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
@pytest.mark.parametrize(
    "tick", [Fraction(1001, 30000), Fraction(1, 90000), Fraction(1, 7)]
)
def test_times_of_videos_are_exact(name, tick, tmp_path):
    need_av(name)
    frames = make_frames(make_faces(COUNT, 16, 16), first=1234)
    write_film(tmp_path / name, frames, tick)
    expected = [frame.start * tick for frame in frames]
    expected += [(frames[-1].start + frames[-1].length) * tick]
    assert read_times(tmp_path / name) == expected


@pytest.mark.parametrize("name", ANIMATIONS)
def test_few_frames_are_held_at_a_time(name, tmp_path, monkeypatch):
    taken, written, held = [0], [0], []
    image = make_faces(1, 16, 16)[0]
    encode_each = films._encode_each

    def count_taken():
        for number in range(100):
            taken[0] += 1
            yield Frame(image, number, 1)

    def count_written(*arguments):
        for item in encode_each(*arguments):
            written[0] += 1
            held.append(taken[0] - written[0])
            yield item

    monkeypatch.setattr(films, "_encode_each", count_written)
    write_film(tmp_path / name, count_taken(), TICK)
    assert len(held) == 100 and max(held) <= AHEAD * count_cores() + 2


@pytest.mark.parametrize("name", [*VIDEOS, *ANIMATIONS])
def test_a_film_that_ends_anywhere_is_the_old_or_the_new(name, tmp_path):
    need_av(name)
    path = tmp_path / name
    path.write_bytes(b"old")

    def stop_after(count):
        yield from make_frames(make_faces(count))
        raise KeyboardInterrupt

    for count in (0, 1, 5):
        with pytest.raises(KeyboardInterrupt):
            write_film(path, stop_after(count), TICK)
        assert files_below(tmp_path) == [name] and path.read_bytes() == b"old"
    (tmp_path / "file").touch()
    with pytest.raises(VaeError, match="can't be written"):
        write_film(tmp_path / "file" / name, make_frames(make_faces(2)), TICK)


def test_sound_goes_along_as_it_is(tmp_path):
    av = pytest.importorskip("av")
    source, path, lines = tmp_path / "scene.mp4", tmp_path / "a.mov", []
    film_scene(source, 20)
    with av.open(str(source)) as sound:
        write_film(
            path, make_frames(make_faces(9, 16, 16), 0), TICK, sound, lines.append
        )
    assert not lines
    assert read_sound(path) == read_sound(source)


def test_sound_that_a_kind_cannot_hold_is_encoded_again_or_left_with_a_line(tmp_path):
    av = pytest.importorskip("av")
    source, lines = tmp_path / "scene.mp4", []
    film_scene(source, 20)
    for name in ("a.webm", "a.gif"):
        path = tmp_path / name
        with av.open(str(source)) as sound:
            frames = make_frames(make_faces(9, 16, 16), 0)
            write_film(path, frames, TICK, sound, lines.append)
    packets, codec = read_sound(tmp_path / "a.webm")
    before, _ = read_sound(source)
    assert codec == "opus" and abs(float(packets[-1][0] - before[-1][0])) < 0.05
    assert lines == [
        f"{tmp_path / 'a.webm'}: the sound, aac, is encoded again as opus",
        f"{tmp_path / 'a.gif'}: without the sound, which .gif can't hold",
    ]


@pytest.mark.parametrize(
    "codec, source, name, kept",
    [
        ("flac", "s.mkv", "a.mp4", "flac"),
        ("flac", "s.mkv", "a.mov", "aac"),
        ("libopus", "s.mkv", "a.webm", "opus"),
        ("libopus", "s.mkv", "a.mov", "aac"),
        ("aac", "s.ts", "a.mp4", "aac"),
        ("pcm_s16le", "s.avi", "a.mov", "pcm_s16le"),
    ],
)
def test_sound_of_any_kind_is_heard(codec, source, name, kept, tmp_path):
    av = pytest.importorskip("av")
    source, path, lines = tmp_path / source, tmp_path / name, []
    with av.open(str(source), "w") as container:
        stream = container.add_stream(codec, rate=48000, layout="stereo")
        tone = np.sin(np.arange(48000) / 20)
        samples = np.stack([tone] * 2).astype("f4")
        sound = av.AudioFrame.from_ndarray(samples, "fltp", "stereo")
        sound.sample_rate, sound.pts = 48000, 0
        sound.time_base = Fraction(1, 48000)
        for part in av.AudioResampler(stream.format.name, "stereo", 48000).resample(
            sound
        ):
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    frames = make_frames(make_faces(20, 16, 16), 0)
    with av.open(str(source)) as sound:
        write_film(path, frames, TICK, sound, lines.append)
    packets, found = read_sound(path)
    assert found == kept and 0.7 < float(packets[-1][0] - packets[0][0]) < 1.2
    same = kept in codec and source.suffix != ".ts"
    assert len(lines) == (not same)
    if same:
        assert [each for _, each in packets] == [e for _, e in read_sound(source)[0]]


def test_what_can_not_be_written_is_refused(monkeypatch):
    with pytest.raises(RefusedError, match="^--film: a.avi found, .+ .mp4 .+ expected"):
        check_film("--film", "a.avi")
    monkeypatch.setattr(films, "av", None)
    check_film("--film", "a.GIF")
    with pytest.raises(RefusedError, match=r"^--film: PyAV .+ 'vae-faces\[video\]'"):
        check_film("--film", "a.mp4")
