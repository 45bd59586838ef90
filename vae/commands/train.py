"""`train`: a model directory from a file of face crops, safe to stop at any moment."""
import csv
import io
import os
import platform
import signal
import sys
import time
from dataclasses import replace

import h5py
import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from vae import __version__
from vae.checkpoint.directory import clear, locked, restore, save_checkpoint, sweep
from vae.checkpoint.model_files import write_bundle
from vae.checkpoint.storage import SCHEMA, pack_arrays
from vae.data.arrays import sample_rows
from vae.errors import StoppedError, VaeError
from vae.files import printable, replace_file
from vae.images.sheets import make_grid, stack_pairs, write_png
from vae.model.inference import Actor
from vae.model.latent import pack_statistics
from vae.model.network import VAE
from vae.model.saved_model import write_saved_model
from vae.strangers.alignment import measure
from vae.strangers.reader import measure_codes
from vae.training.augment import augment_fully
from vae.training.history import draw_history
from vae.training.progress import Progress
from vae.training.trainer import Trainer, dtype_policy, fit, resolve_precision

PREVIEWS = 10  # a run, evenly spread
PREVIEW_IMAGES = 8


def run(request):
    """Trains or goes on training; returns the exit status.

    Raises:
        StoppedError: a signal came; the state is saved.
        VaeError: the loss is not finite, or something can't be written.
    """
    with locked(request.output):
        if request.state is None:
            clear(request.output)
        sweep(request.output)
        session = Session(request)
        session.begin()
        try:
            session.train()
        finally:
            session.close()
        session.finish()
    return 0


class Session:
    """One run of `train`: what is shown and saved while `fit` does its steps."""

    def __init__(self, request):
        precision = resolve_precision(request.config.precision)
        self.request, self.output = request, request.output
        self.config = replace(request.config, precision=precision)
        keras.utils.set_random_seed(self.config.seed)
        self.model = VAE(request.model, dtype_policy(precision))
        self.trainer = Trainer(self.model, self.config, len(request.rows))
        self.progress = Progress()
        self.best = {}  # name -> array, of the best epoch
        self._exported = 0  # the epoch whose weights were written last
        self._signal = None
        self._decibel = None
        self._previous = {}

    def begin(self):
        """Restores the state to go on from, or saves that of step 0."""
        total = self.trainer.batches * self.config.epochs
        if self.request.state is None:
            self.model.start_from(*measure(sample_rows(self.request.rows)))
            self._keep_best()
            self._save_checkpoint()
        else:
            self._restore()
        self._say(self._headline())
        self._saved, self._started = time.monotonic(), time.monotonic()
        self._earlier = self.progress.seconds
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._on_signal)
        initial = self.progress.step
        self._bar = tqdm(total=total, initial=initial, unit="step", disable=None)

    def train(self):
        """Takes the steps that are left; a failed one leaves the last good state."""
        rows, held_out = self.request.rows, self.request.held_out
        try:
            fit(self.trainer, self.progress, rows, held_out, self)
        except StoppedError:
            raise
        except VaeError as error:
            self._save_checkpoint()
            saved = f"{error} (the run is saved at step {self.progress.step})"
            raise VaeError(saved) from error  # a bad image as well, which is refused

    def close(self):
        """Gives the terminal and the signals back."""
        self._bar.close()
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def finish(self):
        """Saves the last state and exports the best one."""
        self._save_checkpoint()
        self._say("exporting the best epoch")
        write_saved_model(self.request.model, self.best, self.output)
        best = self.progress.history[self.progress.best_epoch - 1]
        print(f"model: {printable(self.output)}")
        if "val_psnr" in best:
            epoch, decibel = self.progress.best_epoch, best["val_psnr"]
            print(f"best epoch: {epoch}, held-out PSNR {decibel:.2f} dB")

    def on_step(self, losses):
        """Moves the bar; saves and stops when a signal came, saves when it is time."""
        self.progress.seconds = self._earlier + time.monotonic() - self._started
        shown = f"loss {losses['loss']:.0f} kl {losses['kl_loss']:.1f}"
        if self._decibel is not None:
            shown += f" held-out {self._decibel:.2f} dB"
        epoch = min(self.progress.epoch + 1, self.config.epochs)
        self._bar.set_description(f"epoch {epoch}/{self.config.epochs}", refresh=False)
        self._bar.set_postfix_str(shown, refresh=False)
        self._bar.update()
        if self._signal is not None:
            self._save_checkpoint()
            raise StoppedError(
                f"{printable(self.output)}: stopped and saved at step"
                f" {self.progress.step}; go on with --resume",
                self._signal,
            )
        if time.monotonic() - self._saved > 60 * self.config.checkpoint_minutes:
            self._save_checkpoint()

    def on_epoch(self, row, improved):
        """Prints the epoch's line; writes the history and, now and then, a preview."""
        self._decibel = row.get("val_psnr")
        if improved:
            self._keep_best()
        self._say(describe_epoch(row, self.config.epochs, improved))
        self._write_history()
        every = max(1, self.config.epochs // PREVIEWS)
        last = row["epoch"] == self.config.epochs
        if self.request.held_out is not None and (row["epoch"] % every == 0 or last):
            self._write_preview(row["epoch"])

    def _on_signal(self, number, frame):
        self._signal = number
        for each, handler in self._previous.items():  # a second one stops at once
            signal.signal(each, signal.SIG_DFL)

    def _say(self, line):
        tqdm.write(line, file=sys.stderr)

    def _headline(self):
        model, rows = self.request.model, self.request.rows
        held_out = self.request.held_out
        words = [
            f"{len(rows)} images of {model.width} x {model.height}",
            f"{0 if held_out is None else len(held_out)} held out",
            f"{self.trainer.batches} steps an epoch",
            f"computing in {self.config.precision}",
        ]
        if self.request.state is not None:
            words.append(f"going on from step {self.progress.step}")
        return ", ".join(words)

    def _keep_best(self):
        arrays = self.model.arrays
        self.best = {name: variable.numpy() for name, variable in arrays.items()}

    def _save_checkpoint(self):
        """Saves the state, and the best model so far as the one that others load."""
        arrays = {name: v.numpy() for name, v in self.trainer.arrays.items()}
        arrays |= {f"best/{name}": array for name, array in self.best.items()}
        state = {
            "model": self.request.model.to_dict(),
            "config": self.config.to_dict(),
            "source": self.request.source,
            "progress": vars(self.progress),
        }
        save_checkpoint(self.output, self.progress.step, arrays, state)
        if self.progress.best_epoch:
            self._export_best()
        self._saved = time.monotonic()

    def _restore(self):
        best = {f"best/{name}": Held(v) for name, v in self.model.arrays.items()}
        path = os.path.join(self.request.checkpoint, "arrays.h5")
        restore(self.trainer.arrays | best, path)
        self.best = {name[len("best/") :]: held.array for name, held in best.items()}
        self.progress = Progress.from_dict(self.request.state["progress"])
        done = self.progress.epoch * self.trainer.batches + self.progress.step_in_epoch
        if self.progress.step != done:
            found = f"step {self.progress.step} found, {done} expected"
            raise VaeError(f"{printable(path)}: {found}")
        if self.progress.history:
            self._write_history()

    def _export_best(self):
        """Writes what `sample` and `reconstruct` load, where the best is a new one."""
        if self._exported != self.progress.best_epoch:
            actor = Actor(self.request.model, self.best)
            rows = sample_rows(self.request.rows)
            statistics = measure_codes(actor, rows, self.config.seed, augment_fully)
            contents = {
                "weights.h5": pack_arrays(self.best),
                "latent.npz": pack_statistics(statistics),
            }
            write_bundle(self.output, self._metadata(), contents)
            self._exported = self.progress.best_epoch
        else:
            write_bundle(self.output, self._metadata())

    def _metadata(self):
        best = self.progress.history[self.progress.best_epoch - 1]
        return {
            "schema": SCHEMA,
            "model": self.request.model.to_dict(),
            "train": self.config.to_dict(),
            "source": self.request.source,
            "latent_statistics": "latent.npz",
            "best": best,
            "epochs_done": self.progress.epoch,
            "versions": {
                "vae": __version__,
                "python": platform.python_version(),
                "tensorflow": tf.__version__,
                "keras": keras.__version__,
                "numpy": np.__version__,
                "h5py": h5py.__version__,
            },
        }

    def _write_history(self):
        history = self.progress.history
        table = io.StringIO()
        writer = csv.DictWriter(table, history[-1].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
        path = os.path.join(self.output, "history.csv")
        replace_file(path, table.getvalue().encode())
        path = os.path.join(self.output, "history.png")
        write_png(path, draw_history(history))

    def _write_preview(self, epoch):
        held_out = self.request.held_out
        chosen = np.linspace(0, len(held_out) - 1, PREVIEW_IMAGES).astype(int)
        images = held_out[np.unique(chosen)]
        actor = Actor(self.request.model, self.model.arrays)
        results = actor.decode(actor.encode(images)[0])
        sheet = make_grid(stack_pairs(images, results), columns=len(images))
        digits = max(4, len(str(self.config.epochs)))
        name = f"epoch-{epoch:0{digits}}.png"
        write_png(os.path.join(self.output, "previews", name), sheet)


class Held:
    """Takes an array where a variable is expected."""

    def __init__(self, variable):
        self.shape, self.array = variable.shape, None

    def assign(self, array):
        """Keeps the array."""
        self.array = array


def describe_epoch(row, epochs, improved):
    """Returns the one line that is printed for an epoch; losses in nats an image."""
    line = (
        f"epoch {row['epoch']}/{epochs}  loss {row['loss']:.1f} = reconstruction"
        f" {row['reconstruction_loss']:.1f} + KL {row['kl_loss']:.1f}"
    )
    if "val_psnr" in row:
        line += f"  held-out {row['val_loss']:.1f}, {row['val_psnr']:.2f} dB"
        line += "  best" if improved else ""
    return line
