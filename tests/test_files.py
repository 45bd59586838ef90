"""Names of outputs, and files that are written whole or not at all."""

import os
import resource
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.drawing import noise
from vae import files
from vae.errors import VaeError
from vae.files import natural_key, plan_outputs, printable
from vae.images.reading import read_image
from vae.images.sheets import write_png


@given(st.lists(st.integers(0, 10**30), unique=True), st.randoms())
def test_natural_order_is_the_order_of_numbers(numbers, random):
    names = [f"Clip{number % 7}/f{number}.png" for number in numbers]
    numbers = sorted(numbers, key=lambda number: (number % 7, number))
    expected = [f"Clip{number % 7}/f{number}.png" for number in numbers]
    random.shuffle(names)
    assert sorted(names, key=natural_key) == expected


@given(st.lists(st.text("aA1é0/\udcff"), unique=True), st.randoms())
def test_natural_order_is_total(names, random):
    shuffled = random.sample(names, len(names))
    assert sorted(shuffled, key=natural_key) == sorted(names, key=natural_key)


@pytest.mark.parametrize(
    "names, outputs",
    [
        (["a.jpg", "b/a.jpg"], ["a.png", "b/a.png"]),
        (["a.jpg", "a.png", "b.png"], ["a_jpg.png", "a_png.png", "b.png"]),
        (["A.png", "a.png"], ["A_png.png", "a_png_2.png"]),
        (["a.jpg", "a.png", "a_jpg.bmp"], ["a_jpg_2.png", "a_png.png", "a_jpg.png"]),
        (["é.png", "e\u0301.png"], ["é_png.png", "e\u0301_png_2.png"]),
        (["a.jpg", "a.png/b.jpg"], ["a_jpg.png", "a.png/b.png"]),
        (["con.jpg", "x/NUL.tar.png"], ["_con.png", "x/_NUL.tar.png"]),
        (["a. /b\n.png", "-x.png"], ["a/b_.png", "-x.png"]),
        (["b\udcff.png", "b_.png"], ["b__png.png", "b__png_2.png"]),
        (["../../x.png", "/etc/x.png"], ["_/_/x.png", "etc/x.png"]),
        (["é" * 125 + ".jpeg"], ["é" * 125 + ".png"]),
        (["é" * 126 + ".gz"], ["é" * 125 + ".png"]),
    ],
)
def test_row_43_outputs_of_given_names(names, outputs):
    assert plan_outputs(names) == outputs


PARTS = st.sampled_from(
    ["a", "A", "a.png", "a.jpg", "A.png", "a_png.png", "a_png_2.jpg", "é.png", "a."]
    + ["e\u0301.png", "ſ.png", "s.png", "K.png", "k.png", "nul.png", "COM1", "..", ""]
    + ["b\n.png", "b\udcff.png", "x" * 251 + ".png", "X" * 250 + ".jpg", "é" * 200]
) | st.text(max_size=5).map(lambda text: text.replace("/", ""))
PATHS = st.lists(PARTS, min_size=1, max_size=3).map("/".join)


@given(st.lists(PATHS))
def test_row_43_outputs_are_distinct_and_writable_anywhere(names):
    outputs = plan_outputs(names)
    folded = {unicodedata.normalize("NFC", path).casefold() for path in outputs}
    assert len(folded) == len(outputs) == len(names)
    assert not any(path.startswith(f"{other}/") for path in folded for other in folded)
    for part in (part for path in outputs for part in path.split("/")):
        assert 0 < len(part.encode()) <= 255
        assert not any(char < " " or char in '<>:"|?*\\' for char in part)
        assert part == part.rstrip(". ") and len(part.splitlines()) == 1
        assert part.split(".")[0].upper() not in ("CON", "NUL", "COM1")


def test_row_43_outputs_of_many_twins_take_linear_time():
    outputs = plan_outputs(["a\n.png", "a_.png"] + ["a\t.png"] * 20_000)
    assert len(set(outputs)) == 20_002 and outputs[-1] == "a__png_20002.png"


@given(st.binary(max_size=20))
def test_row_48_printable_is_one_line_of_utf8(name):
    text = printable(name)
    assert len(text.splitlines()) <= 1 and text.isprintable()
    text.encode()


def test_printable_escapes_only_what_it_must():
    assert printable(b"caf\xc3\xa9 \xff\n\x1b[31m") == r"café \xff\n\x1b[31m"


@pytest.mark.parametrize("channels", [1, 3])
def test_png_round_trip_is_exact_bare_and_repeatable(tmp_path, channels):
    image = np.array(noise())[..., :channels]
    for path in (tmp_path / "new" / "folder" / "a.png", tmp_path / "b.png"):
        write_png(path, image)
        assert np.array_equal(read_image(path, 32, 32, channels), image)
        with Image.open(path) as picture:
            assert picture.info == {} and picture.format == "PNG"
            assert picture.mode == ("L" if channels == 1 else "RGB")
    content = (tmp_path / "b.png").read_bytes()
    assert content == (tmp_path / "new" / "folder" / "a.png").read_bytes()


def test_row_10_write_leaves_the_old_file_when_the_disk_fills_half_way(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(VaeError) as caught:
            write_png(path, np.array(noise()))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert str(caught.value) == f"{path}: can't be written (file too large)"
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["a.png"]


def test_row_45_write_leaves_nothing_behind_when_interrupted(tmp_path, monkeypatch):
    def interrupt(*paths):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_png(tmp_path / "a.png", np.array(noise()))
    assert os.listdir(tmp_path) == []


def test_row_46_write_replaces_a_planted_link_and_refuses_a_folder(tmp_path):
    (tmp_path / "precious").write_bytes(b"precious")
    path = tmp_path / "a.png"
    path.symlink_to("precious")
    write_png(path, np.array(noise()))
    assert not path.is_symlink()
    assert (tmp_path / "precious").read_bytes() == b"precious"
    (tmp_path / "b.png").mkdir()
    with pytest.raises(VaeError, match=r"b.png: can't be written \(is a directory\)"):
        write_png(tmp_path / "b.png", np.array(noise()))
    assert sorted(os.listdir(tmp_path)) == ["a.png", "b.png", "precious"]


def test_row_46_temporary_file_never_follows_a_link(tmp_path, monkeypatch):
    monkeypatch.setattr(files.secrets, "token_hex", lambda count: "guessed")
    (tmp_path / ".guessed.tmp").symlink_to("precious")
    with pytest.raises(VaeError, match="file exists"):
        write_png(tmp_path / "a.png", np.array(noise()))
    assert os.listdir(tmp_path) == [".guessed.tmp"]


def test_sync_is_asked_for(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", synced.append)
    files.replace_file(tmp_path / "a.png", b"hello")
    assert len(synced) == 0
    files.replace_file(tmp_path / "a.png", b"hello", sync=True)
    assert len(synced) == 2  # the file, then the folder that holds its name
