"""One run of `train`: what is shown, when it is saved, and how it is stopped."""

import signal
import time
from dataclasses import replace
from types import FrameType

import keras
import numpy as np
import tensorflow as tf

from vae.config import ModelConfig, TrainConfig
from vae.data.arrays import sample_images
from vae.errors import StoppedError, VaeError
from vae.files import printable
from vae.model.latent import describe_collapse
from vae.model.network import VAE
from vae.terminal import STOPS, progress_bar, signals_to, tell
from vae.training.cluster import Cluster
from vae.training.distribution import describe_devices, form_team
from vae.training.events import EventLog
from vae.training.pace import Pace, describe_seconds
from vae.training.progress import BAR, Arithmetic, Progress, count_epoch, describe_epoch
from vae.training.recorder import Recorder
from vae.training.schedule import FLAT_GAIN, is_finished, is_out_of_patience
from vae.training.trainer import (
    Images,
    Trainer,
    dtype_policy,
    fit,
    resolve_precision,
    use_arithmetic,
)

PREVIEWS = {"1", "2", "5"}  # first digit, all others 0, of the epochs that get one


class Session:
    """A run: what is shown and saved while `fit` does its steps.

    Args:
        output: the model directory, locked.
        images: of the training, uint8 (N, H, W, C).
        held_out: uint8 (M, H, W, C), or None.
        data_description: the form and the fingerprint of the data, for metadata.
        arithmetic: that the run to resume computed in, or None.
        tensorboard: whether TensorBoard is to show the run.
        distribute: as the option says.
        cluster: workers that have met and train together, this one among them.
    """

    def __init__(
        self,
        output: str,
        model: ModelConfig,
        config: TrainConfig,
        images: Images,
        held_out: np.ndarray | None,
        data_description: dict,
        arithmetic: Arithmetic | None = None,
        tensorboard: bool = False,
        distribute: str = "none",
        cluster: Cluster | None = None,
    ) -> None:
        own = use_arithmetic(arithmetic.threads if arithmetic else None)
        self._change = own.describe_change(arithmetic or own)
        team = form_team(distribute, cluster)
        precision = resolve_precision(config.precision)
        self.output, self.images, self.held_out = output, images, held_out
        self.config = replace(config, precision=precision)
        keras.utils.set_random_seed(self.config.seed)
        self.model = VAE(model, dtype_policy(precision))
        self.trainer = Trainer(self.model, self.config, len(images), team)
        self.recorder = Recorder(output, self.trainer, images, data_description, own)
        self.progress, self._events = Progress(), None
        self._pace = Pace(self.trainer.batches)
        if tensorboard:
            judged = sample_images(images) if held_out is None else held_out
            self._events = EventLog(output, self.trainer, judged)
        self._signal = self._decibel = None

    def run(self, checkpoint: str | None = None, state: dict | None = None) -> None:
        """Trains to the end, from the beginning or from a checkpoint.

        Args:
            checkpoint, state: folder of the checkpoint and its state.json, or None.

        Raises:
            StoppedError: a signal came; the state is saved.
            VaeError: the loss is not finite, or something can't be written.
        """
        form = self.model.config
        headline = (
            f"{len(self.images)} images of {form.width} x {form.height},"
            f" {0 if self.held_out is None else len(self.held_out)} held out,"
            f" {self.trainer.batches} step{'s' * (self.trainer.batches > 1)} an epoch,"
            f" computing in {self.config.precision}"
        )
        team = self.trainer.team
        if team or tf.config.list_physical_devices("GPU"):
            headline += f" on {describe_devices(team)}"
        if state is None:
            self.recorder.begin(self.progress)
        else:
            self.progress = self.recorder.restore(checkpoint, state)
            headline += f", going on from step {self.progress.step}"
        tell(headline)
        if self._change:
            tell(
                f"the run was begun in other arithmetic ({self._change}): weights will"
                " differ in their last bits from those of a run that never stopped"
            )
        if is_finished(self.config, self.progress):
            done = f"{self.progress.epoch} epochs done"
            way = "a larger --patience trains on"
            if not is_out_of_patience(self.config, self.progress):
                way = "--epochs N trains on, to N"
            tell(f"nothing is left to train: {done}; {way}")
        if team:
            team.share_arrays(list(self.trainer.arrays.values()))
        self._saved = time.monotonic()
        self._planned = self.progress.planned
        self._started = self._saved - self.progress.seconds
        self._step_began = self._saved
        if self._events:
            self._events.begin(self.progress)
        total = self._count_steps()
        steps = {"initial": self.progress.step, "bar_format": BAR, "delay": 0}
        with signals_to(self._on_signal), progress_bar(total, None, **steps) as bar:
            self._bar = bar
            self._train()
        self._finish()

    def follow(self, progress: Progress) -> None:
        """Trains as a worker that writes nothing, from where the chief begins.

        Raises:
            StoppedError: a worker got a signal; the chief has saved.
            VaeError: the loss is not finite, or a worker is lost.
        """
        self.progress, team = progress, self.trainer.team
        team.share_arrays(list(self.trainer.arrays.values()))
        tell(f"worker {team.worker} of {team.workers}; worker 0 tells the losses")
        with signals_to(self._on_signal):
            fit(self.trainer, progress, self.images, self.held_out, Follower(self))

    def stop_if_asked(self) -> None:
        """Raises StoppedError where a signal came to this process, or to another."""
        if self.trainer.stops:
            raise StoppedError(
                f"{printable(self.output)}: stopped and saved at step"
                f" {self.progress.step}; go on with --resume",
                self._signal or signal.SIGTERM,
            )

    def _train(self) -> None:
        """Takes the steps that are left; a failed one leaves the last good state."""
        try:
            fit(self.trainer, self.progress, self.images, self.held_out, self)
        except StoppedError:
            raise
        except VaeError as error:
            self._save()
            saved = f"{error} (the run is saved at step {self.progress.step})"
            raise VaeError(saved) from error  # a bad image as well, which is refused

    def _finish(self) -> None:
        """Saves the last state and exports the best one."""
        self.recorder.measure_film()
        self._save()
        if self._events:
            self._events.close()
        tell("exporting the best epoch")
        self.recorder.export_saved_model()
        best = self.progress.history[self.progress.best_epoch - 1]
        print(f"model: {printable(self.output)}")
        if "val_psnr" in best:
            epoch, decibel = self.progress.best_epoch, best["val_psnr"]
            print(f"best epoch: {epoch}, held-out PSNR {decibel:.2f} dB")
        collapse = describe_collapse(best["kl_loss"], self.model.config.latent_dim)
        for line in filter(None, [collapse, self.recorder.film]):
            tell(line)

    def on_step(self, losses: dict[str, float]) -> None:
        """Moves the bar; saves and stops when a signal came, saves when it is time."""
        now = time.monotonic()
        self.progress.seconds = now - self._started
        taken = now - self._step_began
        if self._events:
            self._events.on_step(self.progress, losses, taken)
        shown = f"KL {losses['kl_loss']:.1f}"
        if self._decibel is not None:
            shown += f", {self._decibel:.2f} dB"
        epoch = count_epoch(self.progress.epoch + 1, self._count_epochs())
        self._bar.set_description(epoch, refresh=False)
        self._bar.set_postfix_str(shown, refresh=False)
        self._bar.total = self._count_steps()
        self._bar.update()
        if self.trainer.stops:
            self._save()
        self.stop_if_asked()
        if not self._pace.is_known:
            self._pace.add_step(taken)
            if self._pace.is_known:
                self._estimate()
        if time.monotonic() - self._saved > 60 * self.config.checkpoint_minutes:
            if self.progress.best_epoch:  # a model comes first
                self.recorder.measure_film()
            self._save()
        self._step_began = time.monotonic()

    def on_epoch(self, row: dict[str, float], improved: bool) -> None:
        """Prints the epoch's line; writes the history and, now and then, a preview."""
        self._decibel = row.get("val_psnr")
        if improved:
            self.recorder.keep_best()
        tell(describe_epoch(row, self._count_epochs(), improved))
        self._tell_plan()
        self.recorder.write_history(self.progress)
        epoch, finished = str(row["epoch"]), is_finished(self.config, self.progress)
        preview = None
        if self.held_out is not None and (epoch.rstrip("0") in PREVIEWS or finished):
            preview = self.recorder.write_preview(self.held_out, row["epoch"])
        if self._events:
            self._events.on_epoch(row, preview)
        self._pace.add_end(time.monotonic() - self._step_began)
        if row["epoch"] == 1:
            self._save()  # from here on sample and reconstruct have a model
        self._step_began = time.monotonic()

    def _count_steps(self) -> int:
        """Returns all steps of the run, or about how many they will be."""
        step = self.progress.step
        return self.trainer.count_steps(self.progress) or self._pace.guess_steps(step)

    def _count_epochs(self) -> int | None:
        """Returns all epochs of the run, or None as long as that isn't known."""
        total = self.trainer.count_steps(self.progress)
        return total and total // self.trainer.batches

    def _estimate(self) -> None:
        """Says how long the run will take; plans one that has so many minutes."""
        progress, minutes = self.progress, self.config.minutes
        if minutes and not progress.planned:
            self.recorder.measure_film()  # once, unlike what a save takes
            began = time.monotonic()
            self._save()
            save = time.monotonic() - began
            left = 60 * minutes - (time.monotonic() - self._started)
            between = 60 * self.config.checkpoint_minutes
            progress.planned = self._pace.plan(left, progress.step, save, between)
            self._save()  # so that a resumed run has the same plan
        total = self._count_steps()
        taken = describe_seconds((total - progress.step) * self._pace.step)
        epochs = total // self.trainer.batches
        line = f"{self._pace.step:.2g} s a step: about {taken} for {epochs} epochs"
        if self.trainer.count_steps(progress) is None:
            line += ", which most films need until their held-out PSNR is flat"
        tell(line)
        self._planned = progress.planned

    def _tell_plan(self) -> None:
        """Says that the held-out PSNR is flat, once."""
        planned, self._planned = self._planned, self.progress.planned
        if not planned and self._planned and self.progress.holds_out:
            epochs = self._count_epochs() - self.progress.epoch
            tell(
                f"the held-out PSNR grows by less than {FLAT_GAIN} dB from one third of"
                f" the epochs to the next: {epochs} more, in which the learning rate"
                " falls"
            )

    def _save(self) -> None:
        if self._events:
            self._events.flush()
        self.recorder.save(self.progress)
        self._saved = time.monotonic()

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        self._signal, self.trainer.asked_to_stop = number, True
        for each in STOPS:  # a second one stops at once
            if signal.getsignal(each) == self._on_signal:
                signal.signal(each, signal.SIG_DFL)


class Follower:
    """What a worker that writes nothing does after a step: it stops with the others."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def on_step(self, losses: dict[str, float]) -> None:
        """Ends the training if any worker was asked to."""
        self._session.stop_if_asked()

    def on_epoch(self, row: dict[str, float], improved: bool) -> None:
        """The chief tells of it."""
