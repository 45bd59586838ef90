"""Rows of docs/reliability.md on terminals, encodings, signals and settings."""

import errno
import io
import os
import resource
import signal
import subprocess
import sys
import threading
from functools import partial

import pytest

from tests.drawing import make_faces
from tests.files import ROOT, load, write_crops
from vae import terminal
from vae.errors import VaeError
from vae.preparation import pipeline
from vae.terminal import (
    PatientStream,
    progress_bar,
    quiet_stderr,
    quiet_tensorflow,
    signals_to,
)

TOOL = [sys.executable, str(ROOT / "vae.py")]


# Sends SIGINT while the command line is imported.
EARLY = """
import builtins, os, signal
real = builtins.__import__
def early(name, *rest, **more):
    if name == "argparse":
        os.kill(os.getpid(), signal.SIGINT)
    return real(name, *rest, **more)
builtins.__import__ = early
"""


@pytest.mark.parametrize("start", [["vae.py"], ["-m", "vae"]])
def test_row_63_an_interrupt_before_the_start_is_silent(start, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(EARLY)
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    command = [sys.executable, *start, "-h"]
    settings = {"cwd": ROOT, "env": environment, "capture_output": True, "text": True}
    found = subprocess.run(command, **settings)
    assert (found.returncode, found.stdout, found.stderr) == (-signal.SIGINT, "", "")


def test_row_64_a_closed_terminal_stops_like_a_kill_unless_it_is_ignored():
    heard = []
    previous = signal.getsignal(signal.SIGHUP)
    try:
        for ignored in (signal.SIG_DFL, signal.SIG_IGN):
            signal.signal(signal.SIGHUP, ignored)
            with signals_to(lambda number, _: heard.append(number)):
                os.kill(os.getpid(), signal.SIGHUP) if not heard else None
                os.kill(os.getpid(), signal.SIGTERM)
            assert signal.getsignal(signal.SIGHUP) == ignored
    finally:
        signal.signal(signal.SIGHUP, previous)
    assert heard == [signal.SIGHUP, signal.SIGTERM, signal.SIGTERM]


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EAGAIN, errno.EPIPE])
def test_row_65_messages_that_can_not_be_written_end_nothing(code, tmp_path):
    log = open(tmp_path / "log", "w")

    class Failing(io.StringIO):
        fileno = log.fileno

        def write(self, text):
            raise OSError(code, os.strerror(code))

        def flush(self):
            self.write("")

    with log:
        stream = PatientStream(Failing())
        assert stream.write("a line\n") == 7
        stream.flush()


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_row_66_names_that_an_encoding_lacks_are_escaped(encoding, tmp_path):
    crops = write_crops(tmp_path / "\u0160\u4e2d", make_faces(3))
    (crops / "\u4e2d.png").write_bytes(b"")
    command = [*TOOL, "prepare", crops, tmp_path / "\u4e2d.h5"]
    environment = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    found = subprocess.run(command, env=environment, capture_output=True)
    assert found.returncode == 1 and b"Traceback" not in found.stderr
    shown = "\u4e2d.h5: 3 images".encode(encoding, "backslashreplace")
    assert shown in found.stdout
    assert "\u4e2d.png: an empty".encode(encoding, "backslashreplace") in found.stderr


def test_row_67_without_room_for_temporary_files_the_work_goes_on(monkeypatch, capfd):
    def none():
        raise FileNotFoundError("no usable temporary directory")

    monkeypatch.setattr(terminal.tempfile, "TemporaryFile", none)
    with quiet_stderr():
        os.write(2, b"chatter\n")
    os.write(2, b"later\n")
    assert capfd.readouterr().err == "later\n"


SETTINGS = '{"image_data_format": "channels_first", "floatx": "float16"}'


@pytest.mark.tensorflow
def test_row_68_settings_of_keras_change_nothing(faces_file, tmp_path, run_cli):
    home = tmp_path / "home"
    (home / ".keras").mkdir(parents=True)
    (home / ".keras" / "keras.json").write_text(SETTINGS)
    environment = os.environ | {"HOME": str(home), "KERAS_BACKEND": "jax"}
    environment.pop("KERAS_HOME", None)
    options = ["train", "--epochs", "1", "--latent-dim", "2", faces_file]
    command = [*TOOL, *options, tmp_path / "a"]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    assert run_cli(*options, tmp_path / "b")[0] == 0  # here, with settings as they are
    first, second = ((tmp_path / name / "weights.h5").read_bytes() for name in "ab")
    assert first == second
    assert os.listdir(home / ".keras") == ["keras.json"]


@pytest.mark.parametrize("line", ["-h", "sample -h", "prepare crops out.h5"])
def test_row_97_results_that_can_not_be_written_are_an_error(line, tmp_path):
    write_crops(tmp_path / "crops", make_faces(3, 8, 8))
    with open("/dev/full", "w") as full:
        settings = {"stdout": full, "stderr": subprocess.PIPE, "text": True}
        found = subprocess.run([*TOOL, *line.split()], cwd=tmp_path, **settings)
    name = "vae.py" if line.endswith("-h") else "vae.py prepare"
    assert found.returncode == 1
    assert found.stderr == (
        f"{name}: error: standard output: can't be written (no space left on device),"
        " what the command prints is lost; the files that it wrote are whole\n"
    )
    if name == "vae.py prepare":
        assert len(load(tmp_path / "out.h5")[0]) == 3


def test_row_97_too_little_memory_for_tensorflow_is_said_before_it_aborts(monkeypatch):
    limits = terminal.resource.RLIM_INFINITY
    monkeypatch.setattr(terminal.resource, "getrlimit", lambda _: (1 << 30, limits))
    with pytest.raises(VaeError) as caught, quiet_tensorflow():
        pytest.fail("it was not asked")
    assert str(caught.value) == (
        "ulimit -v: 1048576 KB found, unlimited or at least 3145728 expected, as"
        " TensorFlow needs; raise it"
    )
    for enough in (limits, terminal.MIN_ADDRESS_SPACE):
        monkeypatch.setattr(
            terminal.resource, "getrlimit", lambda _, soft=enough: (soft, limits)
        )
        with quiet_tensorflow():
            pass


def test_row_97_no_more_threads_is_one_line(monkeypatch, tmp_path, run_cli):
    def start(_):
        raise RuntimeError("can't start new thread")

    crops = write_crops(tmp_path / "crops", make_faces(3, 8, 8))
    monkeypatch.setattr(threading.Thread, "start", start)
    status, out, err = run_cli("prepare", crops, tmp_path / "out.h5")
    assert (status, out) == (1, "")
    assert err == (
        "vae.py prepare: error: no thread can be started (can't start new thread);"
        " memory is short, or the limit of `ulimit -u` is reached\n"
    )
    assert os.listdir(tmp_path) == ["crops"]


def test_row_97_few_open_files_are_enough(tmp_path):
    write_crops(tmp_path / "crops", make_faces(40, 8, 8))
    line = ["prepare", "crops", "out.h5"]
    few = resource.RLIMIT_NOFILE, (16, 16)
    settings = {"preexec_fn": lambda: resource.setrlimit(*few), "cwd": tmp_path}
    assert (
        subprocess.run([*TOOL, *line], **settings, capture_output=True).returncode == 0
    )
    assert len(load(tmp_path / "out.h5")[0]) == 40


class Watched(io.StringIO):
    """A terminal that somebody watches."""

    def isatty(self):
        """Says so."""
        return True


def test_quiet_shows_errors_alone(tmp_path, monkeypatch, run_cli):
    """Bars, notes and what a bar's library writes are dropped; failures are not."""
    monkeypatch.setattr(terminal, "progress_bar", partial(progress_bar, delay=0))
    monkeypatch.setattr(pipeline, "progress_bar", terminal.progress_bar)
    crops = write_crops(tmp_path / "crops", make_faces(3))
    (crops / "._hidden.png").touch()
    shown = {}
    for options in ([], ["--quiet"]):
        monkeypatch.setattr(sys, "stderr", Watched())
        line = ["prepare", *options, crops, tmp_path / f"{len(options)}.h5"]
        assert run_cli(*line)[0] == 0
        shown[len(options)] = sys.stderr.getvalue()
    assert "1 hidden or system file" in shown[0] and "prepare: 100%" in shown[0]
    assert shown[1] == ""
    (crops / "broken.png").write_bytes(b"")
    monkeypatch.undo()
    status, out, err = run_cli("prepare", "--quiet", crops, tmp_path / "out.h5")
    assert status == 1 and out.startswith(f"{tmp_path / 'out.h5'}: 3 images")
    assert err == "crops/broken.png: an empty file\n1 could not be used\n"
    status, out, err = run_cli("prepare", "--quiet", crops, tmp_path / "out.h5")
    assert (status, out) == (2, "") and err.startswith("vae.py prepare: error: ")


@pytest.mark.parametrize("stream", [Watched, io.StringIO])
def test_a_note_ends_its_lines_between_words_on_a_terminal_alone(stream, monkeypatch):
    note = (
        "a note of more than thirty columns, with /a/path-that/is-longer-than/one-line"
    )
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setattr(sys, "stderr", stream())
    terminal.tell(note)
    lines = ["a note of more than thirty", "  columns, with", f"  {note.split()[-1]}"]
    shown = "\n".join(lines) if stream is Watched else note
    assert sys.stderr.getvalue() == f"{shown}\n"
