"""`sample`: walks through the latent space of a model, one picture a step."""
import os

import numpy as np
from tqdm import tqdm

from vae.checks.sample import SHEET_NAME, name_picture
from vae.files import printable
from vae.images.sheets import make_grid, write_face, write_png
from vae.model.inference import load_actor
from vae.model.latent import draw_walks, load_statistics
from vae.parallel import cut_evenly, map_ordered

SHEET_WALKS = 30  # rows of the sheet, at most
SHEET_STEPS = 20  # pictures of a row, at most


def run(request):
    """Draws the walks; prints where the pictures are; returns the exit status."""
    config = request.config
    actor = load_actor(request.folder, request.model)
    statistics = load_statistics(
        os.path.join(request.folder, "latent.npz"), request.model.latent_dim
    )
    shown = np.unique(np.linspace(0, config.steps - 1, SHEET_STEPS).astype(int))
    sheet, pictures = [], config.walks * config.steps

    def draw(part):
        walk, first, z = part  # at most a block of codes: no threads of its own
        images = actor.decode(z)  # (S, H, W, C)
        for step, image in enumerate(images, first):
            name = name_picture(config, walk, step)
            write_face(os.path.join(config.output_dir, name), image)
        here = shown[(first <= shown) & (shown < first + len(z))]
        return len(z), images[here - first] if walk < SHEET_WALKS else []

    walks = draw_walks(statistics, config.walks, config.steps, config.seed)
    parts = (
        (walk, first + part.start, z[part])
        for walk, first, z in walks
        for part in cut_evenly(len(z), actor.block)
    )
    path = os.path.join(config.output_dir, SHEET_NAME)
    room = min(config.walks, SHEET_WALKS) * len(shown)
    with tqdm(total=pictures, desc="sample", unit="img", delay=2) as bar:
        for count, images in map_ordered(draw, parts):
            sheet += list(images)
            bar.update(count)
            if len(images) and len(sheet) == room:  # what is left is drawn meanwhile
                write_png(path, make_grid(np.stack(sheet), columns=len(shown)))
    print(f"{pictures} pictures in {printable(config.output_dir)}")
    print(f"all at a glance: {printable(path)}")
    return 0
