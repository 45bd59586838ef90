"""Keeps what C++ libraries write while they start off the terminal."""
import os
import sys
import tempfile
from contextlib import contextmanager


@contextmanager
def quiet_stderr():
    """Holds back all that is written to stderr, and shows it if an error follows.

    Some lines are written by C++ before any log level applies, so that the descriptor
    itself is turned aside.
    """
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as aside:
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
