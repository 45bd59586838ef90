"""Entry point of the command-line tool: `python vae.py train|sample|reconstruct`."""

import sys

from vae.cli import main

if __name__ == "__main__":
    sys.exit(main())
