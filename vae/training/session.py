"""One run of `train`: what is shown, when it is saved, and how it is stopped."""

import signal
import sys
import time
from dataclasses import replace

import keras
from tqdm import tqdm

from vae.errors import StoppedError, VaeError
from vae.files import printable
from vae.model.network import VAE
from vae.terminal import progress_bar, signals_to
from vae.training.progress import Progress
from vae.training.recorder import Recorder
from vae.training.trainer import Trainer, dtype_policy, fit, resolve_precision

PREVIEWS = 10  # a run, evenly spread


class Session:
    """A run: what is shown and saved while `fit` does its steps.

    Args:
        output: the model directory, locked.
        model: a `ModelConfig`. config: a `TrainConfig`.
        images: training images, uint8 (N, H, W, C), or a stand-in too large to hold.
        held_out: uint8 (M, H, W, C), or None.
        data_description: the form and the fingerprint of the data, for metadata.
    """

    def __init__(self, output, model, config, images, held_out, data_description):
        precision = resolve_precision(config.precision)
        self.output, self.images, self.held_out = output, images, held_out
        self.config = replace(config, precision=precision)
        keras.utils.set_random_seed(self.config.seed)
        self.model = VAE(model, dtype_policy(precision))
        self.trainer = Trainer(self.model, self.config, len(images))
        self.recorder = Recorder(output, self.trainer, images, data_description)
        self.progress = Progress()
        self._signal = None
        self._decibel = None

    def run(self, checkpoint=None, state=None):
        """Trains to the end, from the beginning or from a checkpoint.

        Args:
            checkpoint, state: folder of the checkpoint and its state.json, or None.

        Raises:
            StoppedError: a signal came; the state is saved.
            VaeError: the loss is not finite, or something can't be written.
        """
        headline = self._headline()
        if state is None:
            self.recorder.begin(self.progress)
        else:
            self.progress = self.recorder.restore(checkpoint, state)
            headline += f", going on from step {self.progress.step}"
        self._say(headline)
        self._saved = self._started = time.monotonic()
        self._earlier = self.progress.seconds
        total = self.trainer.batches * self.config.epochs
        steps = {"initial": self.progress.step, "unit": "step", "delay": 0}
        with signals_to(self._on_signal), progress_bar(total, None, **steps) as bar:
            self._bar = bar
            self._train()
        self._finish()

    def _train(self):
        """Takes the steps that are left; a failed one leaves the last good state."""
        try:
            fit(self.trainer, self.progress, self.images, self.held_out, self)
        except StoppedError:
            raise
        except VaeError as error:
            self._save()
            saved = f"{error} (the run is saved at step {self.progress.step})"
            raise VaeError(saved) from error  # a bad image as well, which is refused

    def _finish(self):
        """Saves the last state and exports the best one."""
        self._save()
        self._say("exporting the best epoch")
        self.recorder.export_saved_model()
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
            self._save()
            raise StoppedError(
                f"{printable(self.output)}: stopped and saved at step"
                f" {self.progress.step}; go on with --resume",
                self._signal,
            )
        if time.monotonic() - self._saved > 60 * self.config.checkpoint_minutes:
            self._save()

    def on_epoch(self, row, improved):
        """Prints the epoch's line; writes the history and, now and then, a preview."""
        self._decibel = row.get("val_psnr")
        if improved:
            self.recorder.keep_best()
        self._say(describe_epoch(row, self.config.epochs, improved))
        self.recorder.write_history(self.progress)
        every = max(1, self.config.epochs // PREVIEWS)
        last = row["epoch"] == self.config.epochs
        if self.held_out is not None and (row["epoch"] % every == 0 or last):
            self.recorder.write_preview(self.held_out, row["epoch"])

    def _save(self):
        self.recorder.save(self.progress)
        self._saved = time.monotonic()

    def _on_signal(self, number, frame):
        self._signal = number
        for each in (signal.SIGINT, signal.SIGTERM):  # a second one stops at once
            signal.signal(each, signal.SIG_DFL)

    def _say(self, line):
        tqdm.write(line, file=sys.stderr)

    def _headline(self):
        config, held_out = self.model.config, self.held_out
        return (
            f"{len(self.images)} images of {config.width} x {config.height},"
            f" {0 if held_out is None else len(held_out)} held out,"
            f" {self.trainer.batches} steps an epoch,"
            f" computing in {self.config.precision}"
        )


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
