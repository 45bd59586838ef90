"""How long a training is, and its learning rate: functions of settings and history.

The rate warms up, is held, and falls in the end. So the run needn't know at the start
how long it will be: it is held until the held-out PSNR is flat, and falls then.
"""

import math
import statistics
from typing import Any

from vae.config import TrainConfig
from vae.training.progress import Progress

WARMUP_STEPS = 50
FALL_SHARE = 0.6  # of all steps, the last ones, over which the rate falls
FINAL_RATE = 0.01  # of the peak
FLAT_GAIN = 0.5  # dB, from one third of the epochs to the next
FLAT_EPOCHS = 60  # no curve is called flat before; in steps, it is cut to these two
FLAT_STEPS = 600, 3000
UNJUDGED_EPOCHS = 150  # where nothing is held out to see it by


def count_steps(config: TrainConfig, progress: Progress, batches: int) -> int | None:
    """Returns all steps of a run of so many batches an epoch; None: not known yet."""
    if config.epochs:
        return batches * config.epochs
    return progress.planned or None


def learning_rate(config: TrainConfig, step: int, total: int | None) -> float:
    """The rate of a step of a run of `total` steps, or of as many as it will take."""
    rate, warmup = config.learning_rate, WARMUP_STEPS
    if total:
        warmup = min(warmup, max(1, total // 10))
        left = (total - step) / (FALL_SHARE * total)
        rate *= FINAL_RATE + (1 - FINAL_RATE) * min(1.0, max(0.0, left))
    return rate * min(1.0, (step + 1) / warmup)


def ends_when_flat(config: TrainConfig, progress: Progress) -> bool:
    """Whether a run is to end when its curve is flat, which it hasn't been so far."""
    return not (config.epochs or config.minutes or progress.planned)


def is_flat(history: list[dict[str, Any]]) -> bool:
    """Whether the held-out PSNR hardly grew from the second third of epochs on.

    A curve at a held rate is noisy, so medians of thirds are compared.

    Args:
        history: one row an epoch, with `val_psnr`, dB.
    """
    third, step = len(history) // 3, history[-1]["step"]
    fewest, most = FLAT_STEPS
    begun = min(max(fewest, step * FLAT_EPOCHS / len(history)), most)
    if not third or step < begun:
        return False
    psnr = [row["val_psnr"] for row in history]
    before, last = psnr[-2 * third : -third], psnr[-third:]
    return statistics.median(last) - statistics.median(before) < FLAT_GAIN


def plan_fall(step: int, batches: int) -> int:
    """Returns all steps of a run whose rate begins to fall now: whole epochs."""
    return batches * math.ceil(step / (1 - FALL_SHARE) / batches)


def is_finished(config: TrainConfig, progress: Progress) -> bool:
    """Whether all steps are done, or patience is out."""
    if is_out_of_patience(config, progress):
        return True
    if config.epochs:
        return progress.epoch >= config.epochs
    return 0 < progress.planned <= progress.step


def is_out_of_patience(config: TrainConfig, progress: Progress) -> bool:
    """Whether none of the last `patience` epochs was the best."""
    return 0 < config.patience <= progress.epoch - progress.best_epoch
