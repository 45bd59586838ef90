"""Our own training loop, watched from outside: all that knows the tool's library."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from vae.config import ModelConfig, TrainConfig  # noqa: E402
from vae.data.arrays import sample_images  # noqa: E402
from vae.images.pixels import measure_pixels  # noqa: E402
from vae.model.network import VAE  # noqa: E402
from vae.training.progress import Progress  # noqa: E402
from vae.training.trainer import Trainer, dtype_policy, fit, resolve_precision  # noqa: E402

ENDLESS = 10**6  # epochs


class MeasuredEnough(Exception):
    """Ends the loop of `fit`."""


class ClockWatcher:
    """Counts the steps of `fit`; batches differ by one image at most."""

    def __init__(self, clock, images_per_step):
        self._clock, self._images = clock, images_per_step

    def on_step(self, losses):
        """Reads the loss, so that the step is done, and counts it."""
        float(losses["loss"])
        if self._clock.tick(self._images):
            raise MeasuredEnough

    def on_epoch(self, row, improved):
        """Nothing is shown."""


def build_trainer(shape, batch, latent_dim, augmented=True):
    """Returns a `Trainer` with the tool's defaults.

    Args:
        shape: (N, H, W, C) of the training images.
        augmented: False turns augmentation off.
    """
    count, height, width, channels = shape
    precision = resolve_precision(TrainConfig().precision)
    settings = {"batch_size": batch, "epochs": ENDLESS, "precision": precision}
    if not augmented:
        settings["augment"] = "none"
    config = TrainConfig(**settings)
    wanted = {"width": width, "height": height, "channels": channels}
    form = ModelConfig(**wanted, latent_dim=latent_dim)
    model = VAE(form, dtype_policy(precision))
    return Trainer(model, config, count)


def train_watched(trainer, rows, clock):
    """Trains until the clock has seen enough; returns its figures.

    Args:
        rows: uint8 (N, H, W, C) array or what `vae.data.arrays.load_images` returned.
    """
    trainer.model.start_from(*measure_pixels(sample_images(rows)))
    watcher = ClockWatcher(clock, len(rows) / trainer.batches)
    try:
        fit(trainer, Progress(), rows, None, watcher)
    except MeasuredEnough:
        return clock.figures()
