"""`python -m vae`, and the console script `vae`: the same as `python vae.py`."""

import signal
import sys

# Until the command line is there to answer it, Ctrl-C ends the process without a word.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from vae.cli import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
