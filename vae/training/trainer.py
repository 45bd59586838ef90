"""The one train step and the loop around it.

State is a pure function of (seed, step): the order of an epoch, the noise of a row and
the learning rate all follow from integers, so a resumed run needs arrays and a step.
"""

import contextlib
import functools
import math
import platform
from pathlib import Path
from typing import Protocol

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from vae.config import TrainConfig
from vae.data.arrays import StoredImages
from vae.data.batches import count_batches, cut_batches
from vae.errors import VaeError
from vae.model.losses import kl_loss, optimal_sigma, reconstruction_loss, to_images
from vae.model.network import VAE
from vae.parallel import count_cores, cut_evenly
from vae.training.augment import NEIGHBOURS, augment
from vae.training.distribution import Team
from vae.training.optimizer import KernelMuon
from vae.training.progress import PARTS, Arithmetic, Progress
from vae.training.schedule import (
    UNJUDGED_EPOCHS,
    count_steps,
    ends_when_flat,
    is_finished,
    is_flat,
    learning_rate,
    plan_fall,
)

SIGMA_MEMORY = 0.99  # of the running noise level that validation and saving use
EVALUATION_BATCH = 128
BFLOAT16_FLAGS = {"amx_bf16", "avx512_bf16"}
Images = np.ndarray | StoredImages  # uint8 (N, H, W, C)


def use_arithmetic(threads: int | None) -> Arithmetic:
    """Makes TensorFlow share each operation among so many threads; None: all cores.

    A sum that is cut into other parts has other last bits. More threads than there are
    cores are only slower. Returns what TensorFlow computes in from now on: threads
    can't be changed any more when it has begun to compute in this process.
    """
    threading = tf.config.threading
    with contextlib.suppress(RuntimeError):
        threading.set_intra_op_parallelism_threads(threads or count_cores())
    return Arithmetic(
        threading.get_intra_op_parallelism_threads() or count_cores(),
        tf.__version__,
        " ".join(sorted(_read_flags())) or platform.machine(),
    )


def _read_flags():
    """Returns the processor's flags of vector and matrix extensions; Linux tells."""
    cpu = Path("/proc/cpuinfo")
    flags = cpu.read_text("ascii", "replace").split() if cpu.exists() else ()
    return {flag for flag in flags if flag.startswith(("avx", "amx", "fma"))}


def resolve_precision(precision: str) -> str:
    """Returns float32 or bfloat16; auto: bfloat16 if the hardware computes in it."""
    if precision != "auto":
        return precision
    gpus = tf.config.list_physical_devices("GPU")
    fast = gpus or BFLOAT16_FLAGS.intersection(_read_flags())
    return "bfloat16" if fast else "float32"


def dtype_policy(precision: str) -> str:
    """Returns the Keras policy of a resolved precision; weights are always float32."""
    return "mixed_bfloat16" if precision == "bfloat16" else "float32"


class Trainer:
    """A model, its optimizer, and the compiled step and evaluation.

    Args:
        count: training images an epoch.
        team: that shares each batch, or None.

    Attributes:
        asked_to_stop: whether this process should, set from outside.
    """

    def __init__(
        self, model: VAE, config: TrainConfig, count: int, team: Team | None = None
    ) -> None:
        self.model, self.config, self.team = model, config, team
        self.asked_to_stop = self._all_stop = False
        self._count = count
        self.batches = count_batches(count, config.batch_size)
        self.optimizer = KernelMuon()
        self.optimizer.build(model.trainable_variables)
        self._pixels = math.prod(model.encoder.input_shape[1:])
        images = tf.TensorSpec((None, *model.encoder.input_shape[1:]), tf.uint8)
        scalar = tf.TensorSpec((), tf.float32)
        signature = [images, tf.TensorSpec((), tf.int32), scalar, scalar]
        # Nothing in them depends on a tensor's value but tf.cond, so that translating
        # their Python into graph code would only delay the first step.
        step = self._train
        if team:
            step = self._train_together
            signature += [tf.TensorSpec((), tf.int32), scalar]
        self._step = tf.function(step, signature, autograph=False)
        self._evaluate = tf.function(self._measure, [images], autograph=False)

    @property
    def arrays(self) -> dict[str, keras.Variable]:
        """Name -> variable, of all that a checkpoint holds."""
        found = {f"model/{name}": v for name, v in self.model.arrays.items()}
        own = enumerate(self.optimizer.variables)
        return found | {f"optimizer/{index:03}/{v.name}": v for index, v in own}

    def train_step(self, images: np.ndarray, progress: Progress) -> dict[str, float]:
        """Takes one optimizer step; returns its `PARTS`, nats an image.

        Args:
            images: uint8 (B, H, W, C); of a team, those of `share`.

        Raises:
            VaeError: the loss or a gradient is not finite; the weights are as before.
                Or a worker is lost.
        """
        rate = self.learning_rate(progress)
        values = images, progress.step, rate, self.beta(progress)
        if self.team:
            total = self._batch_sizes[progress.step_in_epoch]
            with self.team.explaining():
                values = self._step(*values, total, float(self.asked_to_stop))
                *values, stops = values.numpy().tolist()
            self._all_stop = stops > 0
        else:
            values = self._step(*values).numpy().tolist()
        if not all(map(math.isfinite, values)):
            raise VaeError(
                f"--learning-rate: the loss is not finite at step {progress.step} with"
                f" {self.config.learning_rate:g}; lower it and train again"
            )
        return dict(zip(PARTS, values, strict=True))

    @property
    def stops(self) -> bool:
        """Whether to stop after this step; of a team, all do if one was asked to."""
        return self._all_stop if self.team else self.asked_to_stop

    @functools.cached_property
    def _batch_sizes(self) -> list[int]:
        cut = cut_evenly(self._count, self.config.batch_size)
        return [batch.stop - batch.start for batch in cut]

    def share(self, total: int) -> np.ndarray:
        """Returns the places in a batch of `total` that this worker of a team reads."""
        return self.team.rows(total, NEIGHBOURS[self.config.augment])

    def count_steps(self, progress: Progress) -> int | None:
        """Returns all steps of the run, or None as long as that isn't known."""
        return count_steps(self.config, progress, self.batches)

    def learning_rate(self, progress: Progress, ago: int = 0) -> float:
        """The rate of the next step, or of one that was taken `ago` steps before it."""
        total = self.count_steps(progress)
        return learning_rate(self.config, progress.step - ago, total)

    def beta(self, progress: Progress) -> float:
        """The weight of the KL term; it is full after `kl_warmup` epochs."""
        if not self.config.kl_warmup:
            return self.config.beta
        done = progress.epoch + progress.step_in_epoch / self.batches
        return self.config.beta * min(1.0, done / self.config.kl_warmup)

    def _train(self, images, step, rate, beta):
        images = ops.cast(images, "float32") / 255.0  # (B, H, W, C)
        images = augment(images, self.config.augment, self.config.seed, step)
        gradients, parts, sigma = self._differentiate(images, step, beta)
        return tf.stack(self._update(gradients, parts, sigma, step, rate))

    def _train_together(self, images, step, rate, beta, total, asked):
        """One step of a team; returns also how many were asked to stop."""
        config = self.config

        def differentiate(images, share):
            images = ops.cast(images, "float32") / 255.0
            images = augment(images, config.augment, config.seed, step, share)
            images = share.own(images)
            gradients, parts, sigma = self._differentiate(images, step, beta, share)
            first = tf.distribute.get_replica_context().replica_id_in_sync_group
            mine = tf.cast(tf.equal(first, self.team.first), tf.float32)
            return [*share.sum([*gradients, *parts, asked * mine]), sigma]

        halo = NEIGHBOURS[config.augment]
        *found, asked, sigma = self.team.run(differentiate, images, total, halo)
        gradients, parts = found[: -len(PARTS)], found[-len(PARTS) :]
        return tf.stack([*self._update(gradients, parts, sigma, step, rate), asked])

    def _differentiate(self, images, step, beta, share=None):
        """The gradients of the loss, its parts, and the noise level of the batch.

        Those of a share are its contributions; the noise level is all rows'.
        """
        config = self.config
        with tf.GradientTape() as tape:
            z_mean, z_log_var = self.model.encoder(images, training=True)  # (B, Z)
            if share is None:
                noise = tf.random.stateless_normal(
                    tf.shape(z_mean), [config.seed, step]
                )
            else:
                shape = share.total, z_mean.shape[1]
                noise = tf.random.stateless_normal(shape, [config.seed, step])
                noise = share.own(share.pick(noise))
            z = z_mean + ops.exp(0.5 * z_log_var) * noise
            outputs = self.model.decoder(z, training=True)  # (B, H, W, C)
            means = to_images(self.model.config.likelihood, outputs)
            error = _mean(ops.square(images - means), share)
            if share is not None:
                [error] = share.sum([error])
            sigma = optimal_sigma(error)
            sigma = tf.stop_gradient(sigma)
            parts = self._parts(images, outputs, z_mean, z_log_var, sigma, beta, share)
            scaled = parts[0] / self._pixels
        return tape.gradient(scaled, self.model.trainable_variables), parts, sigma

    def _update(self, gradients, parts, sigma, step, rate):
        norm = tf.linalg.global_norm(gradients)
        healthy = tf.math.is_finite(norm) & tf.math.is_finite(parts[0])

        def update():
            self.optimizer.learning_rate.assign(rate)
            self.optimizer.apply(gradients, self.model.trainable_variables)
            memory = tf.where(step == 0, 0.0, SIGMA_MEMORY)
            self.model.sigma.assign(memory * self.model.sigma + (1 - memory) * sigma)
            return parts

        return tf.cond(healthy, update, lambda: [part * np.nan for part in parts])

    def _parts(self, images, outputs, z_mean, z_log_var, sigma, beta, share=None):
        """The mean of each of `PARTS` over a batch, nats an image."""
        likelihood = self.model.config.likelihood
        losses = reconstruction_loss(likelihood, images, outputs, sigma)  # (B,)
        reconstruction = _mean(losses, share)
        kl = _mean(kl_loss(z_mean, z_log_var), share)
        return [reconstruction + beta * kl, reconstruction, kl]

    def _measure(self, images: tf.Tensor) -> tf.Tensor:
        images = ops.cast(images, "float32") / 255.0
        z_mean, z_log_var = self.model.encoder(images, training=False)
        outputs = self.model.decoder(z_mean, training=False)
        parts = self._parts(
            images, outputs, z_mean, z_log_var, self.model.sigma.value, self.config.beta
        )
        means = to_images(self.model.config.likelihood, outputs)
        error = ops.mean(ops.square(images - means), axis=(1, 2, 3))  # (B,)
        decibel = -10.0 * ops.log10(ops.maximum(error, 1e-10))
        return tf.stack([*parts, ops.mean(decibel)])

    def evaluate(self, images: np.ndarray) -> dict[str, float]:
        """Measures images, uint8 (N, H, W, C), through `z_mean`, with the full beta.

        Returns the means of the `PARTS`, nats an image, and of psnr, dB.
        """
        totals = np.zeros(len(PARTS) + 1)
        starts = range(0, len(images), EVALUATION_BATCH)
        if self.team:  # batches are dealt out
            starts = starts[self.team.worker :: self.team.workers]
        for start in starts:
            batch = images[start : start + EVALUATION_BATCH]
            totals += self._evaluate(batch).numpy().astype(float) * len(batch)
        totals = self.team.sum(totals) if self.team else totals
        means = (totals / len(images)).tolist()
        return dict(zip((*PARTS, "psnr"), means, strict=True))


def _mean(values, share):
    """The mean over a batch, or what a share of its rows contributes to it."""
    if share is None:
        return ops.mean(values)
    size = math.prod(values.shape[1:])
    return ops.sum(values) / (size * ops.cast(share.total, "float32"))


class Callback(Protocol):
    """What `fit` calls after each step and epoch; raising ends the training."""

    def on_step(self, losses: dict[str, float]) -> None: ...

    def on_epoch(self, row: dict[str, float], improved: bool) -> None: ...


def fit(
    trainer: Trainer,
    progress: Progress,
    images: Images,
    held_out: np.ndarray | None,
    callback: Callback,
) -> None:
    """Trains from where `progress` is to the last epoch, or until `callback` raises.

    Held-out images are uint8 (M, H, W, C).
    """
    config = trainer.config
    if held_out is None and ends_when_flat(config, progress):
        progress.planned = UNJUDGED_EPOCHS * trainer.batches
    while not is_finished(config, progress):
        place = progress.epoch, progress.step_in_epoch
        share = trainer.share if trainer.team else np.arange
        for batch in cut_batches(images, config.batch_size, config.seed, *place, share):
            losses = trainer.train_step(batch, progress)
            progress.step += 1
            progress.step_in_epoch += 1
            for name in PARTS:
                progress.sums[name] += losses[name]
            callback.on_step(losses)
        row, improved = _end_epoch(trainer, progress, held_out)
        callback.on_epoch(row, improved)


def _end_epoch(trainer, progress, held_out):
    """Adds a row to the history; returns it, and whether it is the best so far."""
    row = {"epoch": progress.epoch + 1, "step": progress.step}
    row["learning_rate"] = trainer.learning_rate(progress, ago=1)
    row |= {name: progress.sums[name] / trainer.batches for name in PARTS}
    judged = None
    if held_out is not None:
        measured = trainer.evaluate(held_out)
        row |= {f"val_{name}": value for name, value in measured.items()}
        # Only probabilities of 256 levels are comparable in nats.
        bits = trainer.model.config.likelihood == "discretized"
        judged = row["val_loss"] if bits else -row["val_psnr"]
    row["seconds"] = round(progress.seconds, 1)
    improved = judged is None or progress.best is None or judged < progress.best
    progress.epoch += 1
    progress.step_in_epoch = 0
    progress.sums = dict.fromkeys(PARTS, 0.0)
    progress.history.append(row)
    if ends_when_flat(trainer.config, progress) and is_flat(progress.history):
        progress.planned = plan_fall(progress.step, trainer.batches)
    if improved:
        progress.best, progress.best_epoch = judged, progress.epoch
    return row, improved
