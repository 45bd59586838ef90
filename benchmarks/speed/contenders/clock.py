"""Images a second of a training loop, without its warm-up. Used by all contenders."""

import time


class StepClock:
    """Watches the steps of a training loop; made when the loop begins.

    Args:
        warmup: steps that don't count.
        seconds: how long to measure after them.
    """

    def __init__(self, warmup, seconds):
        self._warmup, self._seconds = warmup, seconds
        self._began = time.perf_counter()
        self._first = self._start = self._last = None
        self._steps = self._warm_images = self._images = 0

    def tick(self, images):
        """Counts a step that is done; returns whether that was the last one needed."""
        self._last = time.perf_counter()
        self._steps += 1
        if self._steps == 1:
            self._first = self._last
        if self._steps <= self._warmup:
            self._warm_images += images
            self._start = self._last
            return False
        self._images += images
        return self._last - self._start >= self._seconds

    def figures(self):
        """Returns the pace, and what start-up cost beyond it: compiling, tracing."""
        rate = self._images / (self._last - self._start)
        warm = self._start - self._began
        return {
            "images_per_second": rate,
            "first_step_seconds": self._first - self._began,
            "compile_seconds": max(0.0, warm - self._warm_images / rate),
        }
