"""Trainings and trained models under faults: bad numbers, signals, hostile files."""

import getpass
import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.drawing import encode, make_faces, noise, write_animation
from tests.faults import Code
from tests.files import ROOT, STRANGE_NAMES, hash_below, read_history, write_h5
from vae.checkpoint.directory import find_checkpoint, save_checkpoint
from vae.checkpoint.model_files import read_model_files
from vae.checkpoint.storage import read_json
from vae.config import ModelConfig
from vae.errors import VaeError
from vae.model.architecture import shape_arrays
from vae.model.export import write_saved_model
from vae.terminal import PatientStream

pytestmark = pytest.mark.tensorflow

SMALL = ["--latent-dim", "2", "--augment", "none", "--batch-size", "16"]


@pytest.fixture
def trained(tiny_model, tmp_path):
    """A copy of the tiny model, to be changed."""
    shutil.copytree(tiny_model, tmp_path / "model")
    return tmp_path / "model"


def read_all_arrays(output):
    """Returns every array in the HDF5 files below a model directory."""
    found = []
    for path in output.rglob("*.h5"):
        with h5py.File(path) as file:
            found += [file[name][()] for name in file]
    return found


SAME = np.full((24, 16, 16, 3), 77, np.uint8)
NUMBERS = {
    "row_15 row_30 one level": (
        SAME,
        ["--beta", "1e6", "--batch-size", "1", "--latent-dim", "1"],
    ),
    "row_15 row_30 black floats": (
        np.zeros((24, 16, 16, 3), np.float32),
        ["--learning-rate", "1e3", "--latent-dim", "1000"],
    ),
}


@pytest.mark.parametrize("case", NUMBERS)
def test_extreme_numbers_train_or_stop_with_a_sentence(case, tmp_path, run_cli):
    images, options = NUMBERS[case]
    path, output = write_h5(tmp_path / "in.h5", images), tmp_path / "out"
    options = [*SMALL, "--epochs", "1", *options]
    status, _, err = run_cli("train", *options, path, output)
    assert status == 0 or (status == 1 and "the loss is not finite" in err), err
    arrays = read_all_arrays(output)
    assert arrays and all(np.isfinite(array).all() for array in arrays)


def test_row_30_a_bad_value_found_while_training_keeps_the_run(
    tmp_path, run_cli, monkeypatch
):
    monkeypatch.setattr("vae.data.arrays.HOLD_BYTES", 5000)  # those held out alone
    monkeypatch.setattr("vae.data.arrays.SAMPLE_IMAGES", 4)
    monkeypatch.setattr("vae.data.arrays.SAMPLE_PARTS", 4)
    monkeypatch.setattr("vae.data.hdf5.TARGET_BLOCK_BYTES", 1)
    monkeypatch.setattr("vae.data.hdf5.FINGERPRINT_RUNS", 1)
    images = make_faces(40, 16, 16).astype(np.float32) / 255
    images[33, 2, 2, 0] = np.nan
    path, output = write_h5(tmp_path / "in.h5", images), tmp_path / "out"
    status, _, err = run_cli("train", *SMALL, "--epochs", "3", path, output)
    step = find_checkpoint(output, pytest.fail)[1]["progress"]["step"]
    assert (status, err.splitlines()[-1]) == (
        1,
        f"vae.py train: error: {path}: dataset 'data': image 33 spans nan to nan,"
        " floats between 0 and 1 expected; scale them, or store uint8 (the run is saved"
        f" at step {step})",
    )


def test_row_09_more_epochs_go_on_from_where_the_run_was(trained, faces_file, run_cli):
    before = read_history(trained)
    arguments = ["--resume", "--epochs", "31", faces_file, trained]
    status, _, err = run_cli("train", *arguments)
    assert status == 0 and "going on from step 120" in err
    after = read_history(trained)
    assert after[:-1] == before and after[-1]["epoch"] == "31"
    assert after[-1]["step"] == "124"


TWICE = """
import os, signal, sys
from vae.training.session import Session
step = Session.on_step
def on_step(self, losses):
    if self.progress.step == 3:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        raise SystemExit("still here")
    step(self, losses)
Session.on_step = on_step
from vae.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_row_04_a_second_signal_ends_at_once(faces_file, tmp_path):
    options = [*SMALL, "--checkpoint-minutes", "0", str(faces_file), "out"]
    command = [sys.executable, "-c", TWICE, "train", *options]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TERM": "dumb"}
    found = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True)
    assert found.returncode == -signal.SIGINT, found.stderr
    assert find_checkpoint(tmp_path / "out", pytest.fail)[1]["progress"]["step"] == 2


def test_row_17_a_training_outlives_the_reader_of_its_messages(
    faces_file, tmp_path, run_cli, monkeypatch
):
    end, start = os.pipe()
    os.close(end)
    with os.fdopen(start, "w", buffering=1) as pipe, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", PatientStream(pipe))
        arguments = [*SMALL, "--epochs", "1", faces_file, tmp_path / "out"]
        status, out, _ = run_cli("train", *arguments)
    assert status == 0 and out.startswith(f"model: {tmp_path}/out\n")
    read_model_files(tmp_path / "out", read_json(tmp_path / "out" / "metadata.json"))


def test_row_10_a_full_disk_while_exporting_leaves_the_old_saved_model(tmp_path):
    config = ModelConfig(16, 16, latent_dim=2)
    shapes = shape_arrays(config)
    arrays = {name: np.zeros(shape, "f4") for name, shape in shapes.items()}
    old = tmp_path / "saved_model"
    old.mkdir()
    (old / "saved_model.pb").write_text("old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(VaeError) as caught:
            write_saved_model(config, arrays, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    text = str(caught.value)
    assert text.startswith(f"{tmp_path}: the SavedModel can't be written (")
    assert text.endswith("; the rest of the model is whole") and "\n" not in text
    assert os.listdir(tmp_path) == ["saved_model"]
    assert (old / "saved_model.pb").read_text() == "old"


PROGRESS = {
    "step": {"step": "3"},
    "negative": {"epoch": -1},
    "true": {"step_in_epoch": True},
    "list": {"sums": [1, 2]},
    "words": {"sums": {"loss": "a", "kl_loss": 1, "reconstruction_loss": 1}},
    "row": {"history": [1]},
    "rows": {"history": []},
    "far": {"best_epoch": 99},
    "word": {"best": "1"},
    "more": {"x": 1},
    "other": {"step": 121},
    "row_93 seconds": {"seconds": 10**400},
    "row_93 best": {"best": 10**400},
    "row_93 sums": {"sums": {"loss": 10**400, "kl_loss": 1, "reconstruction_loss": 1}},
}
ROWS = {  # what an honest row of history becomes
    "row_93 huge": lambda row: row | {"loss": 10**400},
    "row_93 another column": lambda row: row | {"x": 1.0},
    "row_93 a column less": lambda row: {k: row[k] for k in row if k != "val_psnr"},
    "row_93 held out or not": lambda row: {k: row[k] for k in row if "val" not in k},
}
ARITHMETIC = {
    "none": {"threads": 0},
    "bomb": {"threads": 10**9},
    "true": {"threads": True},
    "list": {"instructions": []},
    "more": {"x": 1},
}


def test_row_14_a_state_of_other_types_is_refused(trained, faces_file, run_cli):
    folder, state = find_checkpoint(trained, pytest.fail)
    arrays = {}
    with h5py.File(os.path.join(folder, "arrays.h5")) as file:
        arrays = {name: file[name][()] for name in file}
    history = state["progress"]["history"]
    rows = {case: {"history": list(map(ROWS[case], history))} for case in ROWS}
    for case, changes in (PROGRESS | rows).items():
        changed = {k: v for k, v in state.items() if k != "schema"}
        changed["progress"] = state["progress"] | changes
        save_checkpoint(trained, 120, arrays, changed)
        status, _, err = run_cli("train", "--resume", faces_file, trained)
        assert status == (1 if case == "other" else 2), err
        assert err.count("\n") == 1 and folder in err and "expected" in err
    for changes in ARITHMETIC.values():
        changed = {k: v for k, v in state.items() if k != "schema"}
        changed["arithmetic"] = state["arithmetic"] | changes
        save_checkpoint(trained, 120, arrays, changed)
        status, _, err = run_cli("train", "--resume", faces_file, trained)
        assert (status, err.count("\n")) == (2, 1), err
        assert folder in err and "expected" in err


@pytest.fixture
def strange_crops(tmp_path):
    """A folder of good pictures and of all that may lie beside them."""
    crops = tmp_path / "crops"
    (crops / "deep" / "er").mkdir(parents=True)
    for number, name in enumerate(STRANGE_NAMES):
        with open(os.path.join(os.fsencode(crops), name), "wb") as file:
            file.write(encode(noise()) if number % 2 else b"no picture")
    (tmp_path / "secret.png").write_bytes(encode(noise()))
    (crops / "out.png").symlink_to(tmp_path / "secret.png")
    (crops / "loop").symlink_to(crops)
    (crops / "folder.png").mkdir()
    os.mkfifo(crops / "deep" / "pipe.png")
    write_animation(crops / "deep" / "er" / "b.webp")
    return crops


def test_row_36_row_41_row_44_row_46_row_47_row_48_a_strange_folder(
    tiny_model, strange_crops, tmp_path, run_cli
):
    before = hash_below(strange_crops)
    status, out, err = run_cli("reconstruct", tiny_model, strange_crops, tmp_path / "o")
    assert status == 1 and out.startswith("5 of 11 crops in ")
    lines = err.splitlines()
    assert lines[-1] == "6 could not be read" or lines[-1].startswith("6 of 11")
    assert "deep/er/b.webp: several frames, the first one is used" in lines
    assert "deep/pipe.png: a named pipe, not a file" in lines
    assert "folder.png: a folder, not a file" in lines
    assert all(line.isprintable() for line in lines)
    assert hash_below(strange_crops) == before
    written = sorted(path.name for path in (tmp_path / "o").rglob("*.png"))
    assert len(written) == 5 and "out.png" not in written
    assert all(name.isprintable() for name in written)


def test_row_52_nothing_stored_is_run(trained, tmp_path, run_cli, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.rmtree(trained / "saved_model")
    module = tf.Module()
    mark = str(tmp_path / "executed")

    @tf.function(input_signature=[])
    def write():
        tf.io.write_file(mark, "x")
        return tf.constant(1)

    module.encode = module.decode = write
    tf.saved_model.save(module, str(trained / "saved_model"), signatures=write)
    for name in ("model.keras", "model.pkl", "checkpoint", "weights.npy"):
        (trained / name).write_bytes(pickle.dumps(Code()))
    for owner, name in ((tf.saved_model, "load"), (keras.models, "load_model")):
        monkeypatch.setattr(owner, name, lambda *a, **k: pytest.fail("loaded"))
    Path("crops").mkdir()
    Path("crops/a.png").write_bytes(encode(noise()))
    assert run_cli("sample", "--walks", "1", "--steps", "1", trained)[0] == 0
    assert run_cli("reconstruct", trained, "crops", "out")[0] == 0
    assert not os.path.exists(mark)


def test_a_model_says_nothing_about_who_made_it(tiny_model, faces_file):
    """Privacy: no path of this machine, no name of its user."""
    secrets = [str(tiny_model), str(faces_file), str(Path.home()), str(ROOT)]
    found = []
    for path in [path for path in tiny_model.rglob("*") if path.is_file()]:
        content = path.read_bytes()
        found += [(path, each) for each in secrets if each.encode() in content]
    assert found == []
    for name in ("metadata.json", "history.csv"):
        words = (tiny_model / name).read_text().replace('"', " ").split()
        assert getpass.getuser() not in words
