"""What a run of train leaves while it goes on."""

import signal

import numpy as np
import pytest

from vae.cli import main
from vae.model.latent import load_statistics
from vae.strangers import reader
from vae.strangers.landmarks import NAMES
from vae.training.session import Session

pytestmark = pytest.mark.tensorflow


def test_landmarks_are_looked_for_once_when_there_is_a_model(
    faces_file, tmp_path, monkeypatch, no_saved_model
):
    found = []

    def load():
        path = tmp_path / "out" / "latent.npz"
        return load_statistics(str(path), path.read_bytes(), 4)

    def measure(images, more, count):
        found.append(load())
        measures = np.random.default_rng(0).normal(
            size=(len(images) + count, len(NAMES))
        )
        assert len(list(more)) == count
        return measures

    monkeypatch.setattr(reader, "is_installed", lambda: True)
    monkeypatch.setattr(reader, "measure_faces", measure)
    options = ["--epochs", "3", "--latent-dim", "4", "--checkpoint-minutes", "0.001"]
    assert main(["train", *options, str(faces_file), str(tmp_path / "out")]) == 0
    [first], last = found, load()
    assert len(first.gain) == 0 and len(last.gain) == len(NAMES)


def test_a_stop_does_not_wait_for_landmarks(faces_file, tmp_path, monkeypatch):
    after = Session.on_epoch

    def on_epoch(self, *row):
        after(self, *row)
        signal.raise_signal(signal.SIGTERM)

    def measure(*_):
        raise AssertionError("landmarks are looked for before the run is saved")

    monkeypatch.setattr(Session, "on_epoch", on_epoch)
    monkeypatch.setattr(reader, "is_installed", lambda: True)
    monkeypatch.setattr(reader, "measure_faces", measure)
    output = tmp_path / "out"
    options = ["--epochs", "3", "--latent-dim", "4"]
    assert main(["train", *options, str(faces_file), str(output)]) == 143
    assert (output / "latent.npz").exists()
