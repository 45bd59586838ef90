"""`tensorboard/`: what TensorBoard shows of a run, each step once across all resumes.

Events are written with TensorFlow's own records, so that nothing more has to be
installed where a model is trained. A file's name is the step it begins at.
"""

import contextlib
import os
import secrets
import time
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from vae.checkpoint.directory import EVENTS
from vae.errors import VaeError
from vae.files import explain, printable
from vae.images.sheets import encode_png
from vae.model.inference import Actor
from vae.model.latent import kl_per_dimension
from vae.training.progress import PARTS, Progress
from vae.training.trainer import Trainer

FOLDER = "tensorboard"  # in the model directory
STEPS_APART = 10  # between two entries of the losses of single steps
KL_IMAGES = 512  # whose codes the KL of each dimension is averaged over
EVERY_STEP = "step/"  # begins the names of what is not told once an epoch
Event, Summary = tf.compat.v1.Event, tf.compat.v1.Summary


class EventLog:
    """The event file of a run that goes on.

    Args:
        output: the model directory.
        judged: uint8 (M, H, W, C), whose codes tell the KL of each dimension.
    """

    def __init__(self, output: str, trainer: Trainer, judged: np.ndarray) -> None:
        self._folder, self._trainer = os.path.join(output, FOLDER), trainer
        chosen = np.linspace(0, len(judged) - 1, KL_IMAGES).astype(int)
        self._judged = judged[np.unique(chosen)]
        self._every = min(STEPS_APART, trainer.batches)
        self._seconds, self._steps = 0.0, 0

    def begin(self, progress: Progress) -> None:
        """Opens a file; what a run that was killed told of later steps is removed.

        Raises:
            VaeError: it can't be written.
        """
        with self._explaining():
            os.makedirs(self._folder, exist_ok=True)
            for name in sorted(os.listdir(self._folder)):
                if name.startswith(EVENTS):
                    _trim(os.path.join(self._folder, name), progress)
            name = f"{EVENTS}{progress.step:010}"
            again = sum(each.startswith(name) for each in os.listdir(self._folder))
            path = os.path.join(self._folder, f"{name}.{again}")
            self._writer = tf.io.TFRecordWriter(path)
            self._write(Event(file_version="brain.Event:2"))

    def on_step(
        self, progress: Progress, losses: dict[str, float], seconds: float
    ) -> None:
        """Tells of one step in `STEPS_APART`; `seconds` is how long the step took."""
        self._seconds, self._steps = self._seconds + seconds, self._steps + 1
        if progress.step % self._every:
            return
        values = {name: losses[name] for name in PARTS}
        values["learning_rate"] = self._trainer.learning_rate(progress, ago=1)
        values["milliseconds"] = 1000 * self._seconds / self._steps
        self._seconds, self._steps = 0.0, 0
        self._add(progress.step, {EVERY_STEP + k: v for k, v in values.items()})

    def on_epoch(self, row: dict[str, float], preview: np.ndarray | None) -> None:
        """Tells of an epoch: a row of the history, the KL of each dimension.

        `preview` is uint8 (H, W, C), or None.
        """
        model = self._trainer.model
        values = {f"epoch/{name}": row[name] for name in PARTS}
        held_out = {k: v for k, v in row.items() if k.startswith("val_")}
        values |= {k.replace("val_", "held_out/"): v for k, v in held_out.items()}
        codes = Actor(model.config, model.arrays).encode(self._judged)
        kl = kl_per_dimension(*codes).mean(0)  # (Z,), nats
        digits = len(str(len(kl) - 1))
        values |= {f"kl/{at:0{digits}}": value for at, value in enumerate(kl)}
        images = {} if preview is None else {"held_out/reconstructed": preview}
        self._add(row["step"], values, images)
        self.flush()

    def _add(self, step, values, images=None):
        found = [Summary.Value(tag=k, simple_value=v) for k, v in values.items()]
        for tag, image in (images or {}).items():
            height, width, channels = image.shape
            picture = Summary.Image(
                height=height,
                width=width,
                colorspace=channels,
                encoded_image_string=encode_png(image),
            )
            found.append(Summary.Value(tag=tag, image=picture))
        with self._explaining():
            self._write(Event(step=step, summary=Summary(value=found)))

    def _write(self, event):
        event.wall_time = time.time()
        self._writer.write(event.SerializeToString())

    def flush(self) -> None:
        """Hands on what was written; before a checkpoint, so that it holds no less."""
        with self._explaining():
            self._writer.flush()

    def close(self) -> None:
        """Ends the file."""
        with self._explaining():
            self._writer.close()

    @contextlib.contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except (OSError, tf.errors.OpError) as error:
            text = explain(error) if isinstance(error, OSError) else error.message
            raise VaeError(
                f"{printable(self._folder)}: can't be written"
                f" ({' '.join(text.split()):.200})"
            ) from error


def _trim(path, progress):
    """Takes out of a file what tells of steps that are still to come."""
    kept, whole = [], True
    try:
        for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
            if _is_past(Event.FromString(record), progress):
                kept.append(record)
            else:
                whole = False
    except tf.errors.DataLossError:  # a kill cut a record in two
        whole = False
    if whole:
        return
    aside = os.path.join(os.path.dirname(path), f".{secrets.token_hex(8)}.tmp")
    try:
        with tf.io.TFRecordWriter(aside) as writer:
            for record in kept:
                writer.write(record)
        os.replace(aside, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(aside)


def _is_past(event, progress):
    """Whether a run that goes on from `progress` will not tell an event again.

    An epoch is told after its last step: a run saved between the two tells it again.
    """
    if event.step == progress.step and progress.step_in_epoch:
        return all(v.tag.startswith(EVERY_STEP) for v in event.summary.value)
    return event.step <= progress.step
