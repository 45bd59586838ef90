"""`reconstruct`: every face crop of a folder, as the actor."""
import io
import os
import sys

import numpy as np
from tqdm import tqdm

from vae.data.crops import read_crops
from vae.evaluation.metrics import psnr
from vae.files import printable, replace_file
from vae.images.sheets import join_side_by_side, write_face
from vae.model.inference import load_actor
from vae.model.latent import load_statistics
from vae.parallel import cut_evenly, map_ordered
from vae.strangers.alignment import Alignment, choose_method, find_codes


def run(request):
    """Reconstructs the folder and prints PSNR; returns 1 if some crops failed."""
    actor = load_actor(request.folder, request.model)
    with _bar(len(request.inputs), "read") as bar:
        crops = read_crops(request.inputdir, request.inputs, request.model, bar)
    if crops.indices:
        z = _encode(request, crops, actor)  # (N, Z)
        decibel = _write(request, crops, actor, z)
        if request.latents is not None:
            _save_latents(request, crops, z, actor.encode(crops.images)[1])
        _report(request, crops, decibel)
    for index, reason in crops.notes + crops.failures:
        print(f"{printable(request.inputs[index])}: {reason}", file=sys.stderr)
    if crops.failures:
        counts = f"{len(crops.failures)} of {len(request.inputs)}"
        print(f"{counts} could not be read", file=sys.stderr)
    return 1 if crops.failures else 0


def _encode(request, crops, actor):
    """Returns the aligned codes of the crops; says how they were found."""
    path = os.path.join(request.folder, "latent.npz")
    statistics = load_statistics(path, request.model.latent_dim)
    config, method = request.config, request.config.align
    if method == "auto":
        method, reason = choose_method(actor, crops.images)
        print(reason, file=sys.stderr)
    alignment = Alignment(method, config.strength, config.smooth)
    return find_codes(actor, crops.images, statistics, alignment, request.neutral)


def _bar(total, text):
    return tqdm(total=total, desc=text, unit="img", delay=2, disable=None)


def _write(request, crops, actor, z):
    """Decodes codes (N, Z) and writes the pictures; returns the PSNR of each (N,)."""
    paths = [
        os.path.join(request.output, request.outputs[index]) for index in crops.indices
    ]

    def write(part):
        images, results = crops.images[part], actor.decode(z[part])  # (B, H, W, C)
        pictures = results
        if request.side_by_side:
            pictures = join_side_by_side(images, results)
        for path, picture in zip(paths[part], pictures):
            write_face(path, picture)
        return psnr(images, results)

    decibel = []
    with _bar(len(z), "write") as bar:
        for found in map_ordered(write, cut_evenly(len(z), actor.block)):
            decibel.append(found)
            bar.update(len(found))
    return np.concatenate(decibel)


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
