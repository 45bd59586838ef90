"""All cores at work on a list of items, the results in order. Standard library only."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TypeVar

from vae.errors import VaeError

AHEAD = 2  # items a core that are done or waiting, before the first is used
Item = TypeVar("Item")
Result = TypeVar("Result")


def count_cores() -> int:
    """Returns the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def map_ordered(
    function: Callable[[Item], Result], items: Iterable[Item]
) -> Iterator[Result]:
    """Yields `function(item)` of each item, in order, computed on all cores.

    Few results wait to be used at any time, however many items there are. What
    `function` raises is raised here; items that have not begun are then left.

    Raises:
        VaeError: no thread can be started.
    """
    cores, waiting = count_cores(), deque()
    pool = ThreadPoolExecutor(cores)
    try:
        for item in items:
            waiting.append(_submit(pool, function, item))
            if len(waiting) > AHEAD * cores:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _submit(pool, function, item):
    try:
        return pool.submit(function, item)
    except RuntimeError as error:
        raise VaeError(
            f"no thread can be started ({error}); memory is short, or the limit of"
            " `ulimit -u` is reached"
        ) from error


def cut_evenly(count: int, most: int) -> list[slice]:
    """Returns the fewest slices of at most `most` that cover `count` items.

    They differ in length by one at most.
    """
    parts = -(-count // most)
    bounds = [part * count // max(1, parts) for part in range(parts + 1)]
    return [slice(start, stop) for start, stop in pairwise(bounds)]
