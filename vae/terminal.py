"""Standard streams that may be closed, or whose reader may leave."""
import contextlib
import os
import sys


class PatientStream:
    """A stream of messages; when no one reads it any more, they go nowhere.

    A training must not end because the terminal or `head` that showed it did.
    """

    def __init__(self, stream):
        self._stream = stream

    def __getattr__(self, name):
        return getattr(self._stream, name)

    def write(self, text):
        """Writes text; returns its length."""
        with self._patient():
            self._stream.write(text)
        return len(text)

    def flush(self):
        """Hands on what was written."""
        with self._patient():
            self._stream.flush()

    @contextlib.contextmanager
    def _patient(self):
        try:
            yield
        except BrokenPipeError:
            _point_nowhere(self._stream.fileno())


def _point_nowhere(number):
    nowhere = os.open(os.devnull, os.O_RDWR)
    if nowhere != number:
        os.dup2(nowhere, number)
        os.close(nowhere)


def secure_streams():
    """Opens the standard streams that are closed, and makes stderr a patient one.

    Otherwise the next file to be opened would take the number of a closed one, and what
    a library prints there would end up in that file.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            _point_nowhere(number)
            mode = "w" if number else "r"
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))
    if sys.stderr is sys.__stderr__ or sys.__stderr__ is None:
        sys.stderr = PatientStream(sys.stderr)
