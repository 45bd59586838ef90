"""`sample`: walks through the latent space of a model, one picture a step."""
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from tqdm import tqdm

from vae.checks.sample import SHEET_NAME
from vae.files import printable
from vae.images import make_grid, write_png
from vae.inference import load_actor
from vae.latent import draw_walks, load_statistics

SHEET_WALKS = 30  # rows of the sheet, at most
SHEET_STEPS = 20  # pictures of a row, at most


def run(request):
    """Draws the walks; prints where the pictures are; returns the exit status."""
    config = request.config
    actor = load_actor(request.folder, request.model)
    statistics = load_statistics(
        os.path.join(request.folder, "latent.npz"), request.model.latent_dim
    )
    walks = draw_walks(statistics, config.walks, config.steps, config.seed)  # (N, S, Z)
    shown = np.unique(np.linspace(0, config.steps - 1, SHEET_STEPS).astype(int))
    sheet = []
    bar = tqdm(total=config.walks * config.steps, desc="sample", unit="img", delay=2)
    with ThreadPoolExecutor() as pool, bar:
        for z, names in zip(walks, request.names):
            images = actor.decode(z)  # (S, H, W, C)
            paths = [os.path.join(config.output_dir, name) for name in names]
            list(pool.map(write_png, paths, images))
            if len(sheet) < SHEET_WALKS:
                sheet.append(images[shown])
            bar.update(len(images))
    path = os.path.join(config.output_dir, SHEET_NAME)
    write_png(path, make_grid(np.concatenate(sheet), columns=len(shown)))
    pictures = config.walks * config.steps
    print(f"{pictures} pictures in {printable(config.output_dir)}")
    print(f"all at a glance: {printable(path)}")
    return 0
