"""`reconstruct`: every face crop of a folder, as the actor."""
import io
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from tqdm import tqdm

from vae.crops import read_crops
from vae.files import printable, replace_file
from vae.images import join_side_by_side, write_png
from vae.inference import BATCH, Actor
from vae.metrics import psnr


def run(request):
    """Reconstructs the folder and prints PSNR; returns 1 if some crops failed."""
    actor = Actor(request.folder, request.model)
    with _bar(len(request.inputs), "read") as bar:
        crops = read_crops(request.inputdir, request.inputs, request.model, bar)
    if crops.indices:
        z_mean, z_log_var = actor.encode(crops.images)  # (N, Z)
        decibel = _write(request, crops, actor, z_mean)
        if request.latents is not None:
            _save_latents(request, crops, z_mean, z_log_var)
        _report(request, crops, decibel)
    for index, reason in crops.failures:
        print(f"{printable(request.inputs[index])}: {reason}", file=sys.stderr)
    if crops.failures:
        counts = f"{len(crops.failures)} of {len(request.inputs)}"
        print(f"{counts} could not be read", file=sys.stderr)
    return 1 if crops.failures else 0


def _bar(total, text):
    return tqdm(total=total, desc=text, unit="img", delay=2, disable=None)


def _write(request, crops, actor, z):
    """Decodes codes (N, Z) and writes the pictures; returns the PSNR of each (N,)."""
    decibel = np.empty(len(z))
    paths = [
        os.path.join(request.output, request.outputs[index]) for index in crops.indices
    ]
    with ThreadPoolExecutor() as pool, _bar(len(z), "write") as bar:
        writing = iter(())
        for start in range(0, len(z), BATCH):
            part = slice(start, min(start + BATCH, len(z)))
            images = crops.images[part]
            results = actor.decode(z[part])  # (B, H, W, C)
            decibel[part] = psnr(images, results)
            if request.side_by_side:
                results = join_side_by_side(images, results)
            list(writing)  # one batch is written while the next is computed
            writing = pool.map(write_png, paths[part], results)
            bar.update(len(images))
        list(writing)
    return decibel


def _save_latents(request, crops, z_mean, z_log_var):
    files = [printable(request.inputs[index]) for index in crops.indices]
    buffer = io.BytesIO()
    np.savez(
        buffer, files=np.array(files, np.str_), z_mean=z_mean, z_log_var=z_log_var
    )
    replace_file(request.latents, buffer.getvalue())


def _report(request, crops, decibel):
    done, total = len(crops.indices), len(request.inputs)
    print(f"{done} of {total} crops in {printable(request.output)}")
    worst = int(np.argmin(decibel))
    name = printable(request.inputs[crops.indices[worst]])
    print(
        f"PSNR: mean {decibel.mean():.2f} dB, worst {decibel[worst]:.2f} dB ({name})"
    )
