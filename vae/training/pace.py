"""How long a training takes: measured over its first steps, for plans and estimates."""

import math
import statistics

from vae.training.schedule import UNJUDGED_EPOCHS, plan_fall

MEASURED_STEPS = 50  # after which the pace is known
EXPORT_SECONDS = 5.0  # about what is left to do after the last save


class Pace:
    """Seconds of a step, of the end of an epoch, and of a save, as this process goes.

    Args:
        batches: steps an epoch.
    """

    def __init__(self, batches: int) -> None:
        self._batches = batches
        self._steps, self._ends = [], []

    def add_step(self, seconds: float) -> None:
        """Takes note of a step."""
        self._steps.append(seconds)

    def add_end(self, seconds: float) -> None:
        """Takes note of what came between two epochs, apart from saving."""
        self._ends.append(seconds)

    @property
    def is_known(self) -> bool:
        """Whether enough steps have been measured."""
        return len(self._steps) >= MEASURED_STEPS

    @property
    def step(self) -> float:
        """Seconds of a step, with its share of what comes between two epochs."""
        # The first end of an epoch compiles the evaluation.
        between = min(self._ends, default=0.0) / self._batches
        return statistics.median(self._steps) + between

    def plan(self, left: float, step: int, save: float, between_saves: float) -> int:
        """Returns all steps of a run that is to end in so many seconds: whole epochs.

        Args:
            left: seconds, with those of the last save.
            step: steps done.
            save, between_saves: seconds that a save takes, and from one to the next.
        """
        left = (left - save - EXPORT_SECONDS) / (1 + save / max(between_saves, save, 1))
        steps = step + max(0.0, left) / self.step
        return self._batches * max(
            1, math.ceil(step / self._batches), round(steps / self._batches)
        )

    def guess_steps(self, step: int) -> int:
        """Returns about how many steps a run takes whose end isn't known."""
        return max(UNJUDGED_EPOCHS * self._batches, plan_fall(step, self._batches))


def describe_seconds(seconds: float) -> str:
    """Returns a rough time in words."""
    if seconds < 90:
        return f"{max(2, round(seconds))} seconds"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} minutes"
    return f"{seconds / 3600:.1f} hours"
