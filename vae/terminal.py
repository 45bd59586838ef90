"""What reaches the terminal: streams, framework chatter, progress bars, signals.

Standard streams may be closed, or their reader may leave; a run must not end by that.
"""

import os
import shutil
import signal
import sys
import tempfile
import textwrap
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stderr
from typing import Any, TextIO

from vae.errors import VaeError

try:
    import resource
except ImportError:  # Windows has no such limits
    resource = None

# Ctrl-C, `kill`, and, not on Windows, a terminal that closes.
STOPS = (signal.SIGINT, signal.SIGTERM, *filter(None, [getattr(signal, "SIGHUP", 0)]))
WHOLE_WORDS = {"break_long_words": False, "break_on_hyphens": False}  # and whole paths
MIN_ADDRESS_SPACE = 3 << 30  # bytes; measured on two cores, each thread takes more


class _GuardedStream:
    """A text stream each write of which goes through `_guard`."""

    _guard = nullcontext

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Writes text; returns its length."""
        with self._guard():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Hands on what was written."""
        with self._guard():
            self._stream.flush()


class PatientStream(_GuardedStream):
    """A stream of messages that never fails; what can't be written goes nowhere.

    A training must not end because the terminal or `head` that showed it did, nor
    because the disk of its log is full.
    """

    @contextmanager
    def _guard(self):
        try:
            yield
        except BlockingIOError:  # a slow terminal; later lines may be shown again
            pass
        except OSError:
            _point_nowhere(self._stream.fileno())


class ResultStream(_GuardedStream):
    """A stream of results; one that can't be written ends the command with a line.

    A reader that leaves is no such failure, and raises BrokenPipeError.
    """

    @contextmanager
    def _guard(self):
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            _point_nowhere(self._stream.fileno())
            reason = str(error.strerror).lower()
            raise VaeError(
                f"standard output: can't be written ({reason}), what the command prints"
                " is lost; the files that it wrote are whole"
            ) from error


class _ErrorStream(_GuardedStream):
    """Stands for a stderr that errors alone reach; notes and bars go nowhere."""

    @property
    def for_errors(self) -> TextIO:
        """The stream that shows them."""
        return self._stream

    def write(self, text: str) -> int:
        """Drops text; returns its length."""
        return len(text)

    def isatty(self) -> bool:
        """Says that nobody watches, so that no bar is drawn."""
        return False


def errors_alone() -> redirect_stderr:
    """Returns a context in which notes and progress are not shown.

    What is raised is told after it, and `list_failures` is heard in it.
    """
    return redirect_stderr(_ErrorStream(sys.stderr))


def _point_nowhere(number):
    nowhere = os.open(os.devnull, os.O_RDWR)
    if nowhere != number:
        os.dup2(nowhere, number)
        os.close(nowhere)


def secure_streams() -> None:
    """Opens the standard streams that are closed; what can't be written has rules.

    Otherwise the next file to be opened would take the number of a closed one, and what
    a library prints there would end up in that file. What an encoding lacks is escaped.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            _point_nowhere(number)
            mode = "w" if number else "r"
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    if sys.stderr is sys.__stderr__ or sys.__stderr__ is None:
        sys.stderr = PatientStream(sys.stderr)
    if sys.stdout is sys.__stdout__ or sys.__stdout__ is None:
        sys.stdout = ResultStream(sys.stdout)


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Holds back all that is written to stderr, and shows it if an error follows.

    Some lines are written by C++ before any log level applies, so that the descriptor
    itself is turned aside.
    """
    sys.stderr.flush()
    stderr = os.dup(2)
    with _open_aside() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            yield
        except BaseException:
            aside.seek(0)
            os.write(stderr, aside.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def _open_aside():
    """Opens a nameless file; where there is no room for one, the device of nothing."""
    try:
        return tempfile.TemporaryFile()
    except OSError:
        return open(os.devnull, "w+b")


@contextmanager
def quiet_tensorflow() -> Iterator[None]:
    """Keeps what TensorFlow says while it is imported off the terminal.

    Keras is told what it must be, whatever the user's environment says, and finds no
    folder to read settings from or write them to.

    Raises:
        VaeError: the process may not have the memory that TensorFlow starts with.
    """
    allowed = resource.getrlimit(resource.RLIMIT_AS)[0] if resource else -1
    if 0 <= allowed < MIN_ADDRESS_SPACE:  # TensorFlow would abort, with a stack trace
        raise VaeError(
            f"ulimit -v: {allowed >> 10} KB found, unlimited or at least"
            f" {MIN_ADDRESS_SPACE >> 10} expected, as TensorFlow needs; raise it"
        )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ |= {"KERAS_BACKEND": "tensorflow", "KERAS_HOME": os.devnull}
    with quiet_stderr():
        yield


def progress_bar(
    total: int | None, text: str, unit: str = "img", **settings: Any
) -> Any:
    """Returns a tqdm bar that appears after two seconds, and in no log file.

    `unit` is what is counted; `settings` are more of tqdm's.
    """
    from tqdm import TqdmMonitorWarning, tqdm  # the command line starts without it

    settings = {"delay": 2, "disable": None} | settings
    with warnings.catch_warnings():  # without a thread to spare a bar moves less evenly
        warnings.simplefilter("ignore", TqdmMonitorWarning)
        return tqdm(total=total, desc=text, unit=unit, **settings)


def watch(items: Sequence, text: str, unit: str = "block") -> Iterable:
    """Returns items with a bar that moves as they are used."""
    return progress_bar(len(items), text, unit, iterable=items, leave=False)


@contextmanager
def signals_to(handler: Callable[[int, Any], Any]) -> Iterator[None]:
    """Has `STOPS` answered by `handler(number, frame)` for a while.

    One that is ignored, as nohup does with SIGHUP, stays ignored.
    """
    heard = [each for each in STOPS if signal.getsignal(each) != signal.SIG_IGN]
    previous = {number: signal.signal(number, handler) for number in heard}
    try:
        yield
    finally:
        for number, old in previous.items():
            signal.signal(number, old)


def tell(text: str) -> None:
    """Says something on stderr, above a bar; on a terminal lines end between words.

    Args:
        text: one line or several.
    """
    from tqdm import tqdm  # as above

    lines = text.splitlines()
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns - 1
        how = WHOLE_WORDS | {"subsequent_indent": "  "}
        lines = [textwrap.fill(line, width, **how) for line in lines]
    tqdm.write("\n".join(lines), file=sys.stderr)


def list_failures(
    failures: list[tuple[str, str]], total: int | None = None, verb: str = "read"
) -> None:
    """Says on stderr what could not be used; nothing where there is nothing.

    Args:
        failures: (name, reason), printable.
        total: how many there were, if that is to be told.
    """
    stream = getattr(sys.stderr, "for_errors", sys.stderr)
    for name, reason in failures:
        print(f"{name}: {reason}", file=stream)
    if failures:
        counts = f"{len(failures)} of {total}" if total else len(failures)
        print(f"{counts} could not be {verb}", file=stream)
