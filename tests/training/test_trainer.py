"""What a training writes, shows and refuses to save."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from tests.drawing import make_faces
from tests.files import write_h5
from vae.config import ModelConfig, TrainConfig
from vae.model.network import VAE
from vae.training.progress import Progress
from vae.training.session import Session
from vae.training.trainer import Trainer, fit

pytestmark = pytest.mark.tensorflow

QUICK = ["--epochs", "1", "--batch-size", "16", "--latent-dim", "2"]


def make_trainer(rows=32, **settings):
    config = TrainConfig(batch_size=16, precision="float32", **settings)
    model = VAE(ModelConfig(width=20, height=24, latent_dim=3))
    return Trainer(model, config, rows)


def test_loss_parts_add_up_and_fall():
    trainer, progress, images = make_trainer(), Progress(), make_faces(16)
    losses = []
    for _ in range(40):
        parts = trainer.train_step(images, progress)
        total = parts["reconstruction_loss"] + parts["kl_loss"]
        assert parts["loss"] == pytest.approx(total, rel=1e-6)
        losses.append(parts["loss"])
        progress.step += 1
    assert losses[-1] < losses[0] - 500


def test_the_step_is_traced_once_for_all_batch_sizes():
    trainer, progress = make_trainer(), Progress()
    for count in (16, 15, 16, 3):
        trainer.train_step(make_faces(count), progress)
    assert trainer._step.experimental_get_tracing_count() == 1


def test_noise_depends_on_the_step_and_the_seed():
    def loss(trainer, step):
        for variable in trainer.model.trainable_variables:
            shape = variable.shape
            variable.assign(np.random.default_rng(0).normal(size=shape) * 0.1)
        return trainer.train_step(make_faces(16), Progress(step=step))["loss"]

    one, same, other = (make_trainer(seed=seed) for seed in (0, 0, 1))
    found = loss(one, 5)
    assert loss(same, 5) == found == loss(one, 5)
    assert len({found, loss(one, 6), loss(other, 5)}) == 3


def test_beta_grows_over_the_warm_up():
    trainer = make_trainer(beta=2.0, kl_warmup=4)
    found = [
        trainer.beta(Progress(epoch=e, step_in_epoch=s))
        for e, s in ((0, 0), (1, 1), (4, 0), (9, 0))
    ]
    assert found == [0.0, 0.75, 2.0, 2.0]


def test_row_15_a_loss_that_is_not_finite_stops_with_the_last_good_weights(
    tmp_path, run_cli, faces_file, monkeypatch
):
    output, seen = tmp_path / "out", []

    def poison(session, losses, original=Session.on_step):
        original(session, losses)
        seen.append([v.numpy() for v in session.trainer.arrays.values()])
        if len(seen) == 3:
            session.trainer.beta = lambda progress: float("nan")

    monkeypatch.setattr(Session, "on_step", poison)
    status, _, err = run_cli("train", *QUICK, faces_file, output)
    assert status == 1
    assert err.splitlines()[-1].startswith(
        "vae.py train: error: --learning-rate: the loss is not finite at step 3 with"
    )
    names = sorted(path.name for path in (output / "checkpoints").iterdir())
    assert names == ["step-00000000", "step-00000003"]
    assert all(np.isfinite(array).all() for array in seen[-1])


def test_row_15_an_extreme_learning_rate_never_saves_nan(tmp_path, run_cli, faces_file):
    arguments = [*QUICK, "--learning-rate", "1e6", faces_file, tmp_path / "out"]
    status, _, err = run_cli("train", *arguments)
    assert status in (0, 1)
    if status == 1:
        assert "--learning-rate: the loss is not finite" in err.splitlines()[-1]


def test_the_model_directory_holds_what_is_promised(tiny_model):
    names = {path.name for path in tiny_model.iterdir()} - {".lock"}
    assert names == {
        "metadata.json",
        "weights.h5",
        "latent.npz",
        "saved_model",
        "checkpoints",
        "history.csv",
        "history.png",
        "previews",
    }
    with (tiny_model / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == list(range(1, 31))
    for row in rows:
        parts = float(row["reconstruction_loss"]) + float(row["kl_loss"])
        assert float(row["loss"]) == pytest.approx(parts, rel=1e-6)
    metadata = json.loads((tiny_model / "metadata.json").read_text())
    assert metadata["model"] == {
        "width": 20,
        "height": 24,
        "channels": 3,
        "latent_dim": 4,
        "likelihood": "gaussian",
    }
    text = (tiny_model / "metadata.json").read_text()
    assert str(tiny_model.parent) not in text  # no path of this machine


def test_previews_show_inputs_above_reconstructions(tiny_model):
    sheets = sorted((tiny_model / "previews").iterdir())
    names = [f"epoch-{epoch:04}.png" for epoch in (1, 2, 5, 10, 20, 30)]
    assert [sheet.name for sheet in sheets] == names
    sheet = np.asarray(Image.open(sheets[-1]))
    assert sheet.shape == (48, 6 * 22 - 2, 3)  # six held out, a gap of two
    np.testing.assert_array_equal(sheet[:24, :20], make_faces(60)[54])


def test_the_last_tenth_is_held_out_and_a_file_can_be(
    tmp_path, run_cli, faces_file, no_saved_model
):
    _, _, err = run_cli("train", *QUICK, faces_file, tmp_path / "a")
    assert err.startswith("54 images of 20 x 24, 6 held out, 4 steps an epoch")
    extra = write_h5(tmp_path / "v.h5", make_faces(9, seed=5))
    arguments = ["--layout", "rows-first", "--validation", extra, faces_file]
    _, _, err = run_cli("train", *QUICK, *arguments, tmp_path / "b")
    assert err.startswith("60 images of 20 x 24, 9 held out")


def test_without_held_out_images_the_last_epoch_is_exported(
    tmp_path, run_cli, faces_file
):
    arguments = [*QUICK, "--validation-split", "0", faces_file, tmp_path / "out"]
    status, out, err = run_cli("train", *arguments)
    assert (status, out) == (0, f"model: {tmp_path / 'out'}\n")
    assert "60 images of 20 x 24, 0 held out" in err


def test_row_99_a_collapse_is_told_at_the_end(
    tmp_path, run_cli, faces_file, no_saved_model
):
    def train(beta, epochs):
        options = ["--epochs", epochs, "--beta", beta, "--latent-dim", 8, "--overwrite"]
        return run_cli("train", *options, faces_file, tmp_path / "out")[2]

    assert "the posterior has collapsed; train with a lower --beta" in train(1e5, 30)
    assert "collapsed" not in train(1, 2)


def test_patience_ends_a_run_that_gets_no_better(
    tmp_path, run_cli, faces_file, no_saved_model
):
    options = ["--epochs", "50", "--patience", "2", "--learning-rate", "0"]
    output = tmp_path / "out"
    assert run_cli("train", *options, "--latent-dim", 2, faces_file, output)[0] == 0
    assert len((output / "history.csv").read_text().splitlines()) == 1 + 3
    status, _, err = run_cli("train", "--resume", faces_file, output)
    assert status == 0
    assert "nothing is left to train: 3 epochs done; a larger --patience trains" in err


@pytest.mark.parametrize("count", [1, 2, 17])
def test_row_31_a_file_of_any_few_images_trains(tmp_path, run_cli, count):
    file = write_h5(tmp_path / "few.h5", make_faces(count, 16, 16))
    assert run_cli("train", *QUICK, file, tmp_path / "out")[0] == 0


@pytest.mark.parametrize("likelihood", ["bernoulli", "discretized"])
def test_other_likelihoods_train_on_gray(tmp_path, run_cli, likelihood):
    file = write_h5(tmp_path / "gray.h5", make_faces(20, 16, 16, channels=1))
    options = [*QUICK, "--likelihood", likelihood]
    status, _, err = run_cli("train", *options, file, tmp_path / "out")
    assert status == 0, err


@pytest.mark.parametrize(
    "likelihood, best", [("gaussian", [1, 0, 1, 0]), ("discretized", [1, 1, 0, 1])]
)
def test_the_best_epoch_is_that_of_psnr_or_of_bits(likelihood, best, monkeypatch):
    config = TrainConfig(batch_size=16, epochs=4, precision="float32")
    model = VAE(ModelConfig(20, 24, 3, 3, likelihood))
    trainer, progress, images = Trainer(model, config, 16), Progress(), make_faces(16)
    found = iter([(9.0, 20.0), (8.0, 19.0), (8.5, 21.0), (7.0, 20.5)])
    names = ("val_loss", "val_psnr")
    monkeypatch.setattr(
        trainer,
        "evaluate",
        lambda rows: dict(zip(("loss", "psnr"), next(found), strict=True)),
    )
    improved = []

    class Watcher:
        """Notes which epochs were the best so far."""

        def on_step(self, losses):
            """Nothing is shown."""

        def on_epoch(self, row, is_best):
            """Keeps the verdict; the held-out numbers are those made up above."""
            assert all(name in row for name in names)
            improved.append(int(is_best))

    fit(trainer, progress, images, images, Watcher())
    assert improved == best
