"""What a run of `train` leaves: checkpoints, the best model, previews, the history."""

import os
import platform
from typing import Any

import h5py
import keras
import numpy as np
import tensorflow as tf

from vae import __version__
from vae.checkpoint.directory import save_checkpoint
from vae.checkpoint.model_files import write_model_files
from vae.checkpoint.storage import SCHEMA, pack_arrays, unpack_arrays
from vae.data.arrays import sample_images
from vae.errors import VaeError
from vae.files import printable
from vae.images.pixels import measure_pixels
from vae.images.sheets import make_grid, stack_pairs, write_png
from vae.model.export import write_saved_model
from vae.model.inference import Actor
from vae.strangers.measures import describe_film
from vae.strangers.reader import ReaderFitter
from vae.training.augment import augment_fully
from vae.training.history import write_history
from vae.training.progress import Arithmetic, Progress
from vae.training.schedule import is_finished
from vae.training.trainer import Images, Trainer

PREVIEW_IMAGES = 8
BEST = "best/"  # before the names of the best epoch's arrays in a checkpoint


class Recorder:
    """Writes a model directory.

    Args:
        output: the model directory.
        images: of the training, uint8 (N, H, W, C).
        data_description: the form and the fingerprint of the data, for metadata.
        arithmetic: that this run computes in.

    Attributes:
        film: a line on what the film holds, or None if it isn't known.
    """

    def __init__(
        self,
        output: str,
        trainer: Trainer,
        images: Images,
        data_description: dict,
        arithmetic: Arithmetic,
    ) -> None:
        self._output, self._trainer, self._images = output, trainer, images
        self._model, self._config = trainer.model, trainer.config
        self._data_description, self._arithmetic = data_description, vars(arithmetic)
        sample, seed = sample_images(images), self._config.seed
        self._reader = ReaderFitter(sample, seed, augment_fully)
        self.film: str | None = None
        self._best = {}  # name -> array, of the best epoch
        self._exported = 0  # the epoch whose weights were written last

    def begin(self, progress: Progress) -> None:
        """Starts the network at the actor's average image, and saves step 0."""
        self._model.start_from(*measure_pixels(sample_images(self._images)))
        self.keep_best()
        self.save(progress)

    def restore(self, checkpoint: str, state: dict) -> Progress:
        """Takes over the arrays of a checkpoint; returns its progress.

        Raises:
            VaeError: the arrays are damaged, or the counters don't fit each other.
        """
        variables = self._trainer.arrays
        wanted = variables | {f"{BEST}{n}": v for n, v in self._model.arrays.items()}
        path = os.path.join(checkpoint, "arrays.h5")
        found = unpack_arrays(path, {name: v.shape for name, v in wanted.items()})
        for name, variable in variables.items():
            variable.assign(found[name])
        self._best = {name: found[f"{BEST}{name}"] for name in self._model.arrays}
        progress = Progress.from_dict(state["progress"])
        done = progress.epoch * self._trainer.batches + progress.step_in_epoch
        if progress.step != done:
            found = f"step {progress.step} found, {done} expected"
            raise VaeError(f"{printable(path)}: {found}")
        if progress.history:
            self.write_history(progress)
        return progress

    def keep_best(self) -> None:
        """Takes the weights as they are for those of the best epoch."""
        arrays = self._model.arrays
        self._best = {name: variable.numpy() for name, variable in arrays.items()}

    def measure_film(self) -> None:
        """Looks for landmarks in the film, once, for all models written from now on.

        It takes some 20 ms of all cores a frame, a thousand frames at most.
        """
        if self._reader.measure():
            self._exported = 0  # what was written lacks them

    def save(self, progress: Progress) -> None:
        """Saves the state, and the best model so far as the one that others load."""
        arrays = {name: v.numpy() for name, v in self._trainer.arrays.items()}
        arrays |= {f"{BEST}{name}": array for name, array in self._best.items()}
        state = {
            "model": self._model.config.to_dict(),
            "config": self._config.to_dict(),
            "source": self._data_description,
            "progress": vars(progress),
            "arithmetic": self._arithmetic,
        }
        save_checkpoint(self._output, progress.step, arrays, state)
        if progress.best_epoch:
            self._export_best(progress)

    def _export_best(self, progress: Progress) -> None:
        """Writes what other commands load, with the arrays if the best is a new one."""
        contents = None
        if self._exported != progress.best_epoch:
            statistics = self._reader.fit(Actor(self._model.config, self._best))
            self.film = describe_film(statistics.span)
            contents = {
                "weights.h5": pack_arrays(self._best),
                "latent.npz": statistics.pack(),
            }
        write_model_files(self._output, self._describe(progress), contents)
        self._exported = progress.best_epoch

    def _describe(self, progress: Progress) -> dict[str, Any]:
        """Returns what metadata.json says of the best epoch."""
        return {
            "schema": SCHEMA,
            "model": self._model.config.to_dict(),
            "train": self._config.to_dict(),
            "source": self._data_description,
            "latent_statistics": "latent.npz",
            "best": progress.history[progress.best_epoch - 1],
            "epochs_done": progress.epoch,
            "finished": is_finished(self._config, progress),
            "arithmetic": self._arithmetic,
            "versions": {
                "vae": __version__,
                "python": platform.python_version(),
                **{each.__name__: each.__version__ for each in (tf, keras, np, h5py)},
            },
        }

    def export_saved_model(self) -> None:
        """Writes the best epoch as a TensorFlow SavedModel."""
        write_saved_model(self._model.config, self._best, self._output)

    def write_history(self, progress: Progress) -> None:
        """Writes the table and the chart of all epochs."""
        write_history(self._output, progress.history)

    def write_preview(self, held_out: np.ndarray, epoch: int) -> np.ndarray:
        """Draws a few held-out images above their reconstructions; returns it."""
        chosen = np.linspace(0, len(held_out) - 1, PREVIEW_IMAGES).astype(int)
        images = held_out[np.unique(chosen)]
        actor = Actor(self._model.config, self._model.arrays)
        results = actor.decode(actor.encode(images)[0])
        sheet = make_grid(stack_pairs(images, results), columns=len(images))
        name = f"epoch-{epoch:04}.png"
        write_png(os.path.join(self._output, "previews", name), sheet)
        return sheet
