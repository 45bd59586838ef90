"""Fixtures: ways to run the tool, a file of faces, one tiny trained model."""

import os
import sys

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy; see vae.cli

import h5py  # noqa: E402
import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

from tests.drawing import make_faces  # noqa: E402
from tests.files import snapshot, write_h5  # noqa: E402
from vae.cli import main  # noqa: E402
from vae.data import preflight  # noqa: E402

# A busy computer is slow, not wrong.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture(autouse=True)
def no_child(request, monkeypatch):
    """Tries HDF5 files in this process, since a child takes a third of a second."""
    if not request.node.get_closest_marker("child"):
        monkeypatch.setattr(preflight, "_run", preflight.check)


@pytest.fixture
def run_cli(capsys):
    """Runs the tool in this process: returns (status, stdout, stderr)."""

    def run(*arguments):
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as stop:
            status = stop.code
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run


@pytest.fixture
def refused(run_cli, tmp_path, monkeypatch):
    """Runs a command line in `tmp_path`; returns the reason of its one line."""
    monkeypatch.chdir(tmp_path)
    for name in ("tensorflow", "keras"):
        monkeypatch.setitem(sys.modules, name, None)  # an import of it fails
    for name in [name for name in sys.modules if name.startswith("vae.commands.")]:
        monkeypatch.delitem(sys.modules, name)
        monkeypatch.delattr(name)  # or later tests would patch another module of it

    def run(line, status=2):
        before, command = snapshot(tmp_path), line.split()[0]
        found, out, err = run_cli(*line.split())
        start = f"vae.py {command}: error: "
        assert (found, out, err.count("\n")) == (status, "", 1), err
        assert err.startswith(start) and err.endswith("\n")
        assert snapshot(tmp_path) == before
        return err[len(start) : -1]

    return run


@pytest.fixture
def no_saved_model(monkeypatch):
    """Trains without a SavedModel, a fifth of a small training; nothing reads it."""
    from vae.training.recorder import Recorder

    monkeypatch.setattr(Recorder, "export_saved_model", lambda recorder: None)


@pytest.fixture(scope="session")
def faces_file(tmp_path_factory):
    """An HDF5 file of 60 pictures, 24 high and 20 wide, that says its layout."""
    path = tmp_path_factory.mktemp("data") / "faces.h5"
    write_h5(path, make_faces(60))
    with h5py.File(path, "a") as file:
        file["data"].attrs["layout"] = "rows-first"
    return path


@pytest.fixture(scope="session")
def tiny_model(faces_file, tmp_path_factory):
    """A model directory, trained for thirty epochs."""
    output = tmp_path_factory.mktemp("model") / "out"
    options = ["--epochs", "30", "--batch-size", "16", "--latent-dim", "4"]
    assert main(["train", *options, str(faces_file), str(output)]) == 0
    return output
