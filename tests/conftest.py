"""What tests share: a way to run the tool, small files, one tiny trained model."""

import os
import sys
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy; see vae.cli

import h5py  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from vae.cli import main  # noqa: E402
from vae.data import preflight  # noqa: E402

# A busy computer is slow, not wrong.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

TENSORFLOW_FILES = {
    "test_augment.py",
    "test_demo.py",
    "test_evaluate.py",
    "test_guard.py",
    "test_kills.py",
    "test_losses.py",
    "test_model.py",
    "test_network.py",
    "test_path.py",
    "test_resume.py",
    "test_rows_training.py",
    "test_strangers.py",
    "test_training.py",
    "test_use.py",
    "test_verdict.py",
}


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.name in TENSORFLOW_FILES:
            item.add_marker("tensorflow")


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

    def run(line, status=2):
        before, command = snapshot(tmp_path), line.split()[0]
        found, out, err = run_cli(*line.split())
        start = f"vae.py {command}: error: "
        assert (found, out, err.count("\n")) == (status, "", 1), err
        assert err.startswith(start) and err.endswith("\n")
        assert snapshot(tmp_path) == before
        return err[len(start) : -1]

    return run


def snapshot(folder):
    """Returns every path below a folder with its kind, size and time of change."""
    stats = {path: os.lstat(path) for path in folder.rglob("*")}
    return {p: (s.st_mode, s.st_size, s.st_mtime_ns) for p, s in stats.items()}


def write_h5(path, images, name="data", **settings):
    """Writes images as an HDF5 file; returns its path."""
    with h5py.File(path, "w") as file:
        file.create_dataset(name, data=images, **settings)
    return path


def make_faces(count, height=24, width=20, channels=3, seed=0):
    """Draws simple pictures that vary smoothly: a disc that moves and opens.

    Returns:
        uint8 (N, H, W, C)
    """
    rng = np.random.default_rng(seed)
    phase = rng.uniform(0, 6, 3) + np.arange(count)[:, None] / 7  # (N, 3)
    y, x = np.mgrid[0:height, 0:width] / [[[height]], [[width]]]
    centre = 0.5 + 0.15 * np.sin(phase)[:, :2]
    radius = 0.3 + 0.1 * np.sin(phase)[:, 2]
    distance = np.hypot(
        y - centre[:, 0, None, None], x - centre[:, 1, None, None]
    )  # (N, H, W)
    disc = np.clip((radius[:, None, None] - distance) * 20, 0, 1)
    tint = np.array([220, 160, 120][:channels])
    return (disc[..., None] * tint).astype(np.uint8)


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
