"""`sample`: walks through the latent space of a model, one picture a step."""

import argparse
import os
import sys
from functools import partial
from itertools import chain

import numpy as np

from vae.checkpoint.model_files import open_model
from vae.config import ModelChecks, SampleConfig
from vae.errors import RefusedError
from vae.files import printable, refuse_existing, refuse_overlap
from vae.images.sheets import make_grid, write_face, write_png
from vae.model.inference import load_actor
from vae.model.latent import draw_walks, load_statistics
from vae.parallel import cut_evenly, map_ordered
from vae.terminal import progress_bar

SHEET_NAME = "walks.png"
SHEET_WALKS = 30  # rows of the sheet, at most
SHEET_STEPS = 20  # pictures of a row, at most
MAX_PICTURES = 1_000_000


def run(args: argparse.Namespace) -> int:
    """Draws the walks; prints where the pictures are; returns the exit status.

    Raises:
        RefusedError: something in the request can't work.
        VaeError: the model is damaged, or a picture can't be written.
    """
    config = SampleConfig(**SampleConfig.pick(vars(args)))
    if config.walks * config.steps > MAX_PICTURES:
        raise RefusedError(
            f"--walks: {config.walks} of {config.steps} steps found, at most"
            f" {MAX_PICTURES} pictures expected"
        )
    warn = partial(print, file=sys.stderr)
    model = open_model(args.input, ModelChecks.pick(vars(args)), warn)
    names = (
        _name_picture(config, walk, step)
        for walk in range(config.walks)
        for step in range(config.steps)
    )
    refuse_overlap([os.path.join(config.output_dir, SHEET_NAME)], [args.input])
    refuse_existing(config.output_dir, chain(names, [SHEET_NAME]), args.overwrite)
    actor = load_actor(args.input, model)
    path = os.path.join(args.input, "latent.npz")
    statistics = load_statistics(path, model.latent_dim)
    sheet = _draw(actor, statistics, config)
    path = os.path.join(config.output_dir, SHEET_NAME)
    write_png(path, sheet)
    print(f"{config.walks * config.steps} pictures in {printable(config.output_dir)}")
    print(f"all at a glance: {printable(path)}")
    return 0


def _name_picture(config, walk, step):
    """Returns `walk_000_step_00.png` and so on, padded so that they sort in order."""
    walk_digits = max(3, len(str(config.walks - 1)))
    step_digits = max(2, len(str(config.steps - 1)))
    return f"walk_{walk:0{walk_digits}}_step_{step:0{step_digits}}.png"


def _draw(actor, statistics, config):
    """Writes the pictures; returns a sheet of them, uint8 (H, W, C)."""
    shown = np.unique(np.linspace(0, config.steps - 1, SHEET_STEPS).astype(int))

    def draw(part):
        walk, first, z = part  # at most a block of codes: no threads of its own
        images = actor.decode(z)  # (S, H, W, C)
        for step, image in enumerate(images, first):
            name = _name_picture(config, walk, step)
            write_face(os.path.join(config.output_dir, name), image)
        here = shown[(first <= shown) & (shown < first + len(z))]
        return len(z), images[here - first] if walk < SHEET_WALKS else []

    parts = (
        (walk, first + part.start, z[part])
        for walk, first, z in draw_walks(
            statistics, config.walks, config.steps, config.seed
        )
        for part in cut_evenly(len(z), actor.block)
    )
    sheet = []
    with progress_bar(config.walks * config.steps, "sample") as bar:
        for count, images in map_ordered(draw, parts):
            sheet += list(images)
            bar.update(count)
    return make_grid(np.stack(sheet), columns=len(shown))
