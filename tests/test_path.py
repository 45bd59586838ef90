"""The paths that the README shows, by its own commands, in miniature: from a video to a
film, on a terminal of 80 columns, and from crops to pictures."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import numpy as np
import pytest
from PIL import Image

from examples.draw import write_folder
from examples.performance import perform
from examples.scene import film_scene
from tests.documents import read_commands
from tests.files import ROOT, load
from tests.films import read_frames, read_sound, read_times
from vae.images.networks import is_installed

pytestmark = pytest.mark.tensorflow
COLUMNS = 80
SHORT = {"train": ["--epochs", "2"]}  # what a test adds to a command
# Bars show from the start, and are drawn again at each step.
EAGER = """
import os, runpy, sys, tqdm
real = tqdm.tqdm.__init__
def eager(self, *rest, **settings):
    real(self, *rest, **settings | {"delay": 0, "mininterval": 0, "miniters": 1})
tqdm.tqdm.__init__ = eager
sys.argv = sys.argv[1:]
sys.path[0] = os.path.dirname(sys.argv[0])
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def run_on_terminal(words, folder):
    """Runs a command on a terminal; returns its status and what it shows."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    command = [sys.executable, "-c", EAGER, ROOT / "vae.py", *words]
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), theirs)
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
    with subprocess.Popen(command, cwd=folder, env=environment, **streams) as process:
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 65536):
                shown += part
        except OSError:  # the end of a terminal is an error to Linux
            pass
    os.close(ours)
    return process.returncode, shown.decode()


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Runs the four commands; returns the folder, and what each of them showed."""
    pytest.importorskip("av")
    if not is_installed():
        pytest.skip("needs the extra faces")
    folder, shown = tmp_path_factory.mktemp("film"), {}
    film_scene(folder / "actor.mp4", 50, identity=0, seed=0)
    film_scene(folder / "stranger.mp4", 40)
    for words in read_commands(ROOT / "README.md", "From a video to a film"):
        status, text = run_on_terminal([*words, *SHORT.get(words[0], [])], folder)
        assert status == 0, text
        shown[words[0]] = text
    return folder, shown


def test_a_video_becomes_a_film_by_the_commands_of_the_readme(film):
    folder, shown = film
    assert list(shown) == ["prepare", "train", "reconstruct"]
    faces, _, _ = load(folder / "actor.h5")
    assert faces.shape[1:] == (112, 112, 3) and 30 <= len(faces) < 50
    before, after = folder / "stranger.mp4", folder / "film.mp4"
    assert read_times(after) == read_times(before)
    assert read_sound(after) == read_sound(before)
    given = np.rot90(read_frames(before), 1, (1, 2))  # stored on its side
    changed = np.abs(read_frames(after).astype(int) - given).max((0, 3)) > 50
    assert 0.02 < changed.mean() < 0.6  # the face, and no more
    assert (folder / "film.mp4.sheet.png").is_file()
    assert "the film holds of people's movements" in shown["train"]
    assert "these crops are a stranger's" in shown["reconstruct"]


def test_lines_and_bars_fit_a_terminal_of_80_columns(film):
    _, shown = film
    bars = {"prepare": "prepare: ", "train": "epoch 2/2: ", "reconstruct": "write: "}
    for command, text in shown.items():
        assert re.search(rf"{bars[command]} *\d+%", text), text
        text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)
        wide = [line for line in re.split(r"[\r\n]+", text) if len(line) > COLUMNS]
        assert not wide, f"{command}: {wide}"


def test_crops_become_the_actor_and_a_verdict_quietly(
    tmp_path, run_cli, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    for name, person in (("crops", 0), ("stranger", 1)):
        write_folder(tmp_path / name, person, perform(person, 60), 32, 32)
    capsys.readouterr()  # what drawing shows
    for words in read_commands(ROOT / "README.md", "With OpenFace"):
        status, out, err = run_cli(*words, "--quiet", *SHORT.get(words[0], []))
        assert (status, err) == (0, "") and out
    names = sorted(path.name for path in (tmp_path / "actor").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "stranger").iterdir())
    pictures = np.stack([np.asarray(Image.open(f"actor/{name}")) for name in names])
    assert pictures.shape == (60, 32, 32, 3) and pictures.std() > 1
    assert load("faces.h5")[1][59] == "crops/frame_000060.png"
    options = ["--samples", 2, "--quiet"]
    status, out, err = run_cli("evaluate", *options, "model", "stranger")
    assert (status, err) == (0, "") and out.startswith("stranger: 60 images")
    assert "bits/dim" in out
