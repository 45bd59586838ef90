"""The workers of a distributed training: who they are, and that all are there.

TensorFlow waits for a missing worker for ever and hears no signal meanwhile. So all of
them meet here first, within a deadline, and compare what they are about to do. Messages
are JSON; the first worker, the chief, listens at its own address until all have come.
"""

import contextlib
import errno
import json
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from vae.errors import RefusedError, VaeError
from vae.files import explain, printable

JOIN_SECONDS = 300  # until all workers have come
READY_SECONDS = 3600  # until all have opened and read their data
RETRY_SECONDS = 0.2  # between two knocks at the chief's door
GREETING_BYTES, MESSAGE_BYTES = 1 << 16, 1 << 26  # of a stranger, of a worker
MAX_WORKERS = 1024
_LENGTH = struct.Struct(">I")


@dataclass(frozen=True)
class Cluster:
    """All workers and which of them this process is.

    Attributes:
        addresses: (host, port) of each; the first is the chief's. index: our own.
    """

    addresses: tuple[tuple[str, int], ...]
    index: int

    @property
    def is_chief(self) -> bool:
        """Whether this is the worker that writes."""
        return self.index == 0


def read_cluster(text: str | None) -> Cluster | None:
    """Returns what TF_CONFIG says, or None where it names no cluster of two or more.

    Raises:
        RefusedError: it can't be understood.
    """
    if not text:
        return None
    try:
        told = json.loads(text)
        groups, task = told["cluster"], told["task"]
        named = {kind: list(groups.get(kind, ())) for kind in ("chief", "worker")}
        chiefs, kind, at = named["chief"], task["type"], int(task["index"])
        addresses = tuple(_split(each) for each in [*chiefs, *named["worker"]])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise RefusedError(
            f"TF_CONFIG: {printable(text):.200} found, a cluster of workers"
            ' ("host:port") and a task expected, see docs/distributed.md'
        ) from None
    if set(groups) - named.keys() or kind not in named:
        raise RefusedError(
            f"TF_CONFIG: {kind!r:.40} in {sorted(groups)!r:.200} found, chief and"
            " worker expected; there are no other tasks"
        )
    if not 0 <= at < len(named[kind]):
        raise RefusedError(
            f"TF_CONFIG: index {at} of {len(named[kind])} {kind}s found, one of them"
            " expected"
        )
    if len(set(addresses)) < len(addresses) or len(addresses) > MAX_WORKERS:
        raise RefusedError(
            f"TF_CONFIG: {len(addresses)} addresses found, {len(set(addresses))} of"
            f" them different, one a worker expected, and at most {MAX_WORKERS}"
        )
    if len(addresses) < 2:
        return None
    return Cluster(addresses, at + (len(chiefs) if kind == "worker" else 0))


def _split(address):
    """Returns (host, port) of "host:port" or "[v6]:port"."""
    host, _, port = address.rpartition(":")
    if not host or not 0 < int(port) < 65536:
        raise ValueError
    return host.strip("[]"), int(port)


class Line:
    """A connection to one other worker; messages are dictionaries."""

    def __init__(self, connection: socket.socket, name: str) -> None:
        self._connection, self.name = connection, name

    def send(self, message: dict[str, Any]) -> None:
        """Sends a message.

        Raises:
            VaeError: the other one has left.
        """
        content = json.dumps(message).encode()
        with self._explaining():
            self._connection.sendall(_LENGTH.pack(len(content)) + content)

    def receive(self, deadline: float, most: int = MESSAGE_BYTES) -> dict[str, Any]:
        """Returns the next message.

        Args:
            deadline: of `time.monotonic`. most: bytes it may have.

        Raises:
            RefusedError: the other one refuses the training; this is its reason.
            VaeError: it has left, says nothing, or is none of ours.
        """
        with self._explaining():
            [length] = _LENGTH.unpack(self._read(_LENGTH.size, deadline))
            if length > most:
                raise VaeError(f"{self.name}: {length} bytes found, no worker of ours")
            content = self._read(length, deadline)
        try:
            message = json.loads(content)
            problem = message.get("problem")
        except (ValueError, AttributeError, RecursionError):
            raise VaeError(f"{self.name}: what it says is no message of ours") from None
        if problem:
            raise RefusedError(f"{self.name}: {printable(str(problem))}")
        return message

    def _read(self, count, deadline):
        parts, left = [], count
        while left:
            self._connection.settimeout(max(0.01, deadline - time.monotonic()))
            part = self._connection.recv(min(left, 1 << 20))
            if not part:
                raise ConnectionResetError(errno.ECONNRESET, "it has left")
            parts.append(part)
            left -= len(part)
        return b"".join(parts)

    @contextlib.contextmanager
    def _explaining(self):
        try:
            yield
        except TimeoutError:
            raise VaeError(f"{self.name}: says nothing; is it still running?") from None
        except OSError as error:
            reason = explain(error)
            raise VaeError(
                f"{self.name}: left before the training began ({reason}); see what it"
                " printed"
            ) from None

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()


@contextlib.contextmanager
def meet(cluster: Cluster, greeting: dict[str, Any]) -> Iterator[list[Line]]:
    """Yields the lines to all others: of the chief to each, of another to the chief.

    An error inside is told to them, so that all of them end.

    Args:
        greeting: what has to be the same for all; the chief compares.

    Raises:
        RefusedError: the address is taken, or workers differ in a greeting.
        VaeError: some did not come within `JOIN_SECONDS`.
    """
    deadline = time.monotonic() + JOIN_SECONDS
    lines = []
    try:
        if cluster.is_chief:
            _await_all(cluster, greeting, lines, deadline)
        else:
            _listen(cluster).close()  # is our own address free?
            lines.append(_knock(cluster, deadline))
            lines[0].send({"index": cluster.index, "greeting": greeting})
        yield lines
    except VaeError as error:
        for line in lines:
            with contextlib.suppress(VaeError):
                line.send({"problem": str(error)})
        raise
    finally:
        for line in lines:
            line.close()


def _listen(cluster):
    host, port = cluster.addresses[cluster.index]
    try:
        return socket.create_server((host, port), backlog=MAX_WORKERS)
    except OSError as error:
        # A name of a service, or one that is not known yet: TensorFlow listens
        # everywhere as well.
        unknown = isinstance(error, socket.gaierror)
        if unknown or error.errno == errno.EADDRNOTAVAIL:
            with contextlib.suppress(OSError):
                return socket.create_server(("", port), backlog=MAX_WORKERS)
        raise RefusedError(
            f"TF_CONFIG: {printable(host)}:{port}: {explain(error)}, a free port of"
            " this computer expected"
        ) from None


def _knock(cluster, deadline):
    """Connects to the chief, who may not have begun to listen."""
    host, port = cluster.addresses[0]
    while True:
        left = deadline - time.monotonic()
        try:
            connection = socket.create_connection((host, port), max(0.1, left))
            return Line(connection, "worker 0")
        except OSError as error:
            if left <= 0:
                raise VaeError(
                    f"TF_CONFIG: worker 0 at {printable(host)}:{port} can't be reached"
                    f" ({explain(error)}) within {JOIN_SECONDS} s; is it running?"
                ) from None
        time.sleep(RETRY_SECONDS)


def _await_all(cluster, greeting, lines, deadline):
    """Fills `lines` with all others, as they come."""
    missing = set(range(1, len(cluster.addresses)))
    with _listen(cluster) as server:
        while missing:
            server.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                connection, _ = server.accept()
            except TimeoutError:
                absent = [cluster.addresses[at] for at in sorted(missing)]
                names = [f"{host}:{port}" for host, port in absent]
                raise VaeError(
                    f"TF_CONFIG: {len(missing)} of {len(cluster.addresses)} workers did"
                    f" not come within {JOIN_SECONDS} s:"
                    f" {printable(', '.join(names)):.200}"
                ) from None
            line = Line(connection, "a worker")
            try:
                told = line.receive(deadline, GREETING_BYTES)
            except VaeError:  # someone else's connection, a port scan
                line.close()
                continue
            lines.append(line)
            at = told.get("index")
            if at not in missing:
                raise RefusedError(
                    f"TF_CONFIG: two workers say they are number {at!r:.20} of"
                    f" {len(cluster.addresses)}, each of another index expected"
                )
            line.name = f"worker {at}"
            _compare(line.name, told.get("greeting"), greeting)
            missing.remove(at)


def _compare(name, told, own):
    """Refuses a worker that is about to do something else."""
    told = told if isinstance(told, dict) else {}
    for key, value in own.items():
        if told.get(key) != value:
            raise RefusedError(
                f"{key}: {told.get(key)!r:.80} found on {name}, {value!r:.80} expected,"
                " as on worker 0; start all workers alike"
            )
