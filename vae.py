"""Entry point of the command-line tool: `python vae.py COMMAND`."""

import sys

from vae.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
