"""A list of items on all cores, each in a process of its own, the results in order.

For work of many short numpy calls, in which threads wait for each other: only one of
them may run Python at a time.
"""
import contextlib
import multiprocessing
import signal
import sys
from collections import deque
from itertools import chain, islice
from multiprocessing.connection import wait

from vae.errors import VaeError
from vae.workers import count_cores, map_ordered

QUEUED = 2  # items a process has at a time: one in work, one waiting


def map_forked(function, items):
    """Yields `function(item)` of each item, in order, as `map_ordered` does.

    The processes are copies of this one, so `function` may be a closure; items and
    results are pickled. Results that overtake another wait in memory. For a single item
    and where copies aren't safe (outside Linux), threads do the work.

    Raises:
        VaeError: a process was killed.
        What `function` raises; items that have not begun are then left.
    """
    cores, items = count_cores(), iter(items)
    first = list(islice(items, cores + 1))
    items = chain(first, items)
    if len(first) < 2 or sys.platform != "linux":
        yield from map_ordered(function, items)
        return
    helpers = {}
    try:
        for _ in range(min(cores, len(first))):  # one without an item is no help
            helper = _Helper(function)
            helpers[helper.pipe] = helper
        yield from _collect(helpers, enumerate(items))
    finally:
        for pipe in helpers:
            pipe.close()
        for helper in helpers.values():
            helper.process.join()


def _collect(helpers, numbered):
    for helper in list(helpers.values()) * QUEUED:
        helper.give(numbered)
    done, due = {}, 0
    while busy := [pipe for pipe, helper in helpers.items() if helper.numbers]:
        for pipe in wait(busy):
            number, done[number] = helpers[pipe].take()
            helpers[pipe].give(numbered)
        while due in done:
            yield done.pop(due)
            due += 1


class _Helper:
    """A process that applies `function` to what comes through its pipe."""

    def __init__(self, function):
        context = multiprocessing.get_context("fork")
        self.pipe, theirs = context.Pipe()
        self.numbers = deque()  # of the items it has
        task = function, theirs, self.pipe
        self.process = context.Process(target=_serve, args=task, daemon=True)
        self.process.start()
        theirs.close()

    def give(self, numbered):
        """Hands it the next item, if there is one."""
        for number, item in islice(numbered, 1):
            self.numbers.append(number)
            with contextlib.suppress(OSError):  # killed: `take` tells
                self.pipe.send(item)

    def take(self):
        """Returns the number and the result of the first item it has."""
        try:
            error, result = self.pipe.recv()
        except (EOFError, OSError) as lost:
            raise VaeError(
                "a helping process was killed, maybe for want of memory: what it worked"
                " on is missing; run the command again"
            ) from lost
        if error:
            raise error
        return self.numbers.popleft(), result


def _serve(function, pipe, other_end):
    """Works until the pipe closes, as it does too when the other process is killed."""
    other_end.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the other process hears it as well
    try:
        while True:
            pipe.send(_attempt(function, pipe.recv()))
    except (EOFError, OSError):
        pass


def _attempt(function, item):
    """Returns an error or None, and the result."""
    try:
        return None, function(item)
    except Exception as error:
        return error, None
