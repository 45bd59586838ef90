"""The command line that the training contenders share."""

import argparse


def parse_options(*flags):
    """Returns file, batch, latent_dim, warmup, seconds and the `flags` asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--latent-dim", type=int, required=True)
    parser.add_argument("--warmup", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    for flag in flags:
        parser.add_argument(flag, action="store_true")
    return parser.parse_args()
