"""One training on several devices or computers, by TensorFlow's own strategies.

Each replica computes the gradient of its rows of a batch; sums over all of them are
exchanged, so that each then takes the same step with variables of its own. Noise and
augmentation of a row follow from its place in the whole batch: the number of replicas
changes nothing but the last bits of sums.
"""

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from vae.errors import RefusedError, VaeError
from vae.training.cluster import JOIN_SECONDS, Cluster

COLLECTIVE_SECONDS = 600  # of waiting for the others: longer than the chief saves
LOST = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
    tf.errors.UnavailableError,
)


class Share:
    """The rows of a batch that one replica computes, inside of a graph.

    Attributes:
        total: number of rows of the whole batch.
        rows: (halo + own,), their places in it; those before its own are neighbours
            that augmentation mixes into them.
    """

    def __init__(self, first: tf.Tensor, stop: tf.Tensor, total: tf.Tensor, halo: int):
        self.total, self._halo = total, halo
        self.rows = tf.range(first - halo, stop) % total

    def pick(self, values: tf.Tensor) -> tf.Tensor:
        """Returns of values (total, ...) those of `rows`."""
        return tf.gather(values, self.rows)

    def own(self, values: tf.Tensor) -> tf.Tensor:
        """Returns values (halo + own, ...) without the neighbours'."""
        return values[self._halo :]

    def sum(self, values: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Returns tensors added up over all replicas."""
        return tf.distribute.get_replica_context().all_reduce("sum", list(values))


class Team:
    """The replicas that train together; this process has one or more of them.

    Attributes:
        count: replicas of all workers. first: number of our first. local: how many
            are ours.
        worker, workers: number of this process, and how many there are.
    """

    def __init__(
        self, cluster: Cluster | None, devices: Sequence[str] | None = None
    ) -> None:
        """Connects the workers, or takes several devices of this one.

        Args:
            cluster: whose workers have met; None where there is one process.
            devices: names, as `GPU:0`; by default all GPUs.
        """
        if cluster:
            options = tf.distribute.experimental.CommunicationOptions(
                timeout_seconds=COLLECTIVE_SECONDS
            )
            with _deadline(JOIN_SECONDS):
                self._strategy = tf.distribute.MultiWorkerMirroredStrategy(
                    communication_options=options
                )
        else:
            self._strategy = tf.distribute.MirroredStrategy(devices)
        self.count = self._strategy.num_replicas_in_sync
        self.worker, self.workers = 0, 1
        if cluster:
            self.worker, self.workers = cluster.index, len(cluster.addresses)
        self.local = self.count // self.workers
        self.first = self.worker * self.local
        self.is_chief = self.worker == 0
        self._add = tf.function(self._add_up, autograph=False)

    def rows(self, total: int, halo: int) -> np.ndarray:
        """Returns the places in a batch of `total` that this process reads."""
        first, stop = (
            total * at // self.count for at in (self.first, self.first + self.local)
        )
        return np.arange(first - halo, stop) % total

    def run(
        self,
        function: Callable[[tf.Tensor, Share], list[tf.Tensor]],
        images: tf.Tensor,
        total: tf.Tensor,
        halo: int,
    ) -> list[tf.Tensor]:
        """Calls `function(images, share)` for each replica here; returns one's result.

        Args:
            images: those of `rows(total, halo)`.
        """
        begin = total * self.first // self.count

        def call(images):
            at = tf.distribute.get_replica_context().replica_id_in_sync_group
            at = tf.cast(at, tf.int32)
            first, stop = total * at // self.count, total * (at + 1) // self.count
            part = images[first - begin : stop - begin + halo]
            return function(part, Share(first, stop, total, halo))

        results = self._strategy.run(call, (images,))
        return [self._strategy.experimental_local_results(each)[0] for each in results]

    def sum(self, values: np.ndarray) -> np.ndarray:
        """Returns float64 values added up over all processes."""
        with self.explaining():
            return self._add(tf.constant(values, tf.float64)).numpy()

    def _add_up(self, values):
        def call(values):
            context = tf.distribute.get_replica_context()
            is_first = tf.equal(context.replica_id_in_sync_group, self.first)
            mine = tf.where(is_first, values, tf.zeros_like(values))
            return context.all_reduce("sum", mine)

        result = self._strategy.run(call, (values,))
        return self._strategy.experimental_local_results(result)[0]

    def share_arrays(self, variables: Sequence[keras.Variable]) -> None:
        """Gives all processes the values that the chief's variables have."""
        sizes = [int(np.prod(variable.shape)) for variable in variables]
        own = np.zeros(sum(sizes))
        if self.is_chief:
            own = np.concatenate([v.numpy().ravel().astype("f8") for v in variables])
        parts = np.split(self.sum(own), np.cumsum(sizes)[:-1])
        for variable, part in zip(variables, parts, strict=True):
            variable.assign(part.reshape(variable.shape).astype(variable.dtype))

    @contextlib.contextmanager
    def explaining(self) -> Iterator[None]:
        """Turns the loss of a worker into a `VaeError`."""
        try:
            yield
        except LOST as error:
            if self.workers == 1:
                raise
            kind = type(error).__name__.removesuffix("Error")
            raise VaeError(
                f"--distribute: another worker is lost or can't be reached ({kind});"
                " see what it printed, and start all of them again with --resume"
            ) from error


@contextlib.contextmanager
def _deadline(seconds):
    """Ends the process if what is inside takes longer: TensorFlow hears no signal.

    The workers have met, but one may have died since.
    """

    def give_up():
        print(
            "vae.py train: error: --distribute: a worker that had come is lost again;"
            " see what it printed, and start all of them again",
            file=sys.stderr,
            flush=True,
        )
        os._exit(1)

    timer = threading.Timer(seconds, give_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def form_team(distribute: str, cluster: Cluster | None) -> Team | None:
    """Returns the team of a run, or None where one device trains alone.

    Args:
        distribute: as the option says. cluster: whose workers have met, or None.

    Raises:
        RefusedError: mirrored, and there are not several GPUs.
    """
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        with contextlib.suppress(RuntimeError):  # computing has begun
            tf.config.experimental.set_memory_growth(gpu, True)
    if cluster:
        return Team(cluster)
    if distribute == "mirrored" and len(gpus) < 2:
        raise RefusedError(
            f"--distribute: mirrored found and {len(gpus)} GPUs, two or more expected"
        )
    several = distribute in ("auto", "mirrored") and len(gpus) > 1
    return Team(None, [f"GPU:{at}" for at in range(len(gpus))]) if several else None


def describe_devices(team: Team | None) -> str:
    """Returns what computes, in words."""
    gpus = tf.config.list_physical_devices("GPU")
    details: dict[str, Any] = {}
    if gpus:
        details = tf.config.experimental.get_device_details(gpus[0])
    kind = details.get("device_name", "a GPU") if gpus else "the processor"
    return f"{team.count} replicas, each on {kind}" if team else kind
