"""`reconstruct`: every face crop of a folder, as the actor."""
import io
import os
import sys
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from tqdm import tqdm

from vae.files import printable, replace_file
from vae.images import ImageError, join_side_by_side, read_image, write_png
from vae.inference import BATCH, Actor
from vae.metrics import psnr


def run(request):
    """Reconstructs the folder and prints PSNR; returns 1 if some crops failed."""
    actor = Actor(request.folder, request.model)
    done, failed = _Results(), []
    bar = tqdm(total=len(request.inputs), desc="reconstruct", unit="img", delay=2)
    with ThreadPoolExecutor() as pool, bar:
        writing = deque()
        for indices, images, reasons in _read_batches(request, pool):
            failed += reasons
            if len(images):
                z_mean, z_log_var = actor.encode(images)  # (B, Z)
                results = actor.decode(z_mean)  # (B, H, W, C)
                done.add(indices, z_mean, z_log_var, psnr(images, results))
                if request.side_by_side:
                    results = join_side_by_side(images, results)
                paths = [_output_path(request, index) for index in indices]
                writing.append(pool.map(write_png, paths, results))
            while len(writing) > 1:  # one batch is written while the next is computed
                list(writing.popleft())
            bar.update(len(images) + len(reasons))
        for batch in writing:
            list(batch)
    if request.latents is not None:
        _save_latents(request, done)
    return _report(request, done, failed)


class _Results:
    """What is known of the crops that were done, in order."""

    def __init__(self):
        self.indices, self.z_mean, self.z_log_var, self.psnr = [], [], [], []

    def add(self, indices, z_mean, z_log_var, decibel):
        self.indices += indices
        self.z_mean.append(z_mean)
        self.z_log_var.append(z_log_var)
        self.psnr += decibel.tolist()


def _output_path(request, index):
    return os.path.join(request.output, request.outputs[index])


def _read_batches(request, pool):
    """Yields (indices, images, failures), reading one batch ahead of the network."""
    width, height = request.model.width, request.model.height

    def read(index):
        path = os.path.join(request.inputdir, request.inputs[index])
        try:
            return read_image(path, width, height, request.model.channels)
        except ImageError as error:
            return error

    starts = range(0, len(request.inputs), BATCH)
    ahead = deque()
    for start in [*starts, None]:
        if start is not None:
            indices = range(start, min(start + BATCH, len(request.inputs)))
            ahead.append((indices, pool.map(read, indices)))
        if ahead and (len(ahead) > 1 or start is None):
            yield _sort_out(*ahead.popleft())


def _sort_out(indices, results):
    results = list(results)
    good = [n for n, result in enumerate(results) if not isinstance(result, ImageError)]
    images = np.stack([results[n] for n in good]) if good else np.empty(0, np.uint8)
    reasons = [
        (indices[n], str(result))
        for n, result in enumerate(results)
        if isinstance(result, ImageError)
    ]
    return [indices[n] for n in good], images, reasons


def _save_latents(request, done):
    latent_dim = request.model.latent_dim
    empty = [np.empty((0, latent_dim), np.float32)]
    buffer = io.BytesIO()
    np.savez(
        buffer,
        files=np.array([printable(request.inputs[n]) for n in done.indices], np.str_),
        z_mean=np.concatenate(done.z_mean or empty),
        z_log_var=np.concatenate(done.z_log_var or empty),
    )
    replace_file(request.latents, buffer.getvalue())


def _report(request, done, failed):
    total = len(request.inputs)
    print(f"{len(done.indices)} of {total} crops in {printable(request.output)}")
    if done.indices:
        worst = int(np.argmin(done.psnr))
        name = printable(request.inputs[done.indices[worst]])
        print(
            f"PSNR: mean {np.mean(done.psnr):.2f} dB, worst {done.psnr[worst]:.2f} dB"
            f" ({name})"
        )
    for index, reason in failed:
        print(f"{printable(request.inputs[index])}: {reason}", file=sys.stderr)
    if failed:
        print(f"{len(failed)} of {total} could not be read", file=sys.stderr)
    return 1 if failed else 0
