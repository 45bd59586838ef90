"""Only the picture files: what no program that makes pictures can do faster in Pillow.

`pillow_only.py WAY reencode FOLDER OUTPUT` decodes and encodes each PNG of a folder,
`pillow_only.py WAY write IMAGES.npy OUTPUT` encodes arrays, and `pillow_only.py WAY
decode FOLDER` only decodes, files of any kind. WAY is threads or processes, one for
each core. It prints the seconds of the work, without the start.
"""

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from multiprocessing import Pool
from pathlib import Path

import numpy as np
from PIL import Image

CHUNK = 32  # files that a process takes at a time


def decode(folder, name):
    """Decodes a file to uint8 (H, W, 3); returns the shape alone: pixels stay there."""
    return _decode(folder, name).shape


def reencode(folder, output, name):
    """Decodes a file and writes its pixels again."""
    pixels = _decode(folder, name)
    Image.fromarray(pixels).save(os.path.join(output, name))


def _decode(folder, name):
    with Image.open(os.path.join(folder, name)) as picture:
        return np.asarray(picture.convert("RGB"))


def write(output, numbered):
    """Writes one image; numbered is (number, uint8 (H, W, 3))."""
    number, image = numbered
    Image.fromarray(image).save(os.path.join(output, f"{number:06d}.png"))


PICTURES = {"decode": decode, "reencode": reencode}


def main():
    """Does the work and prints its time as one JSON line."""
    way, task, source, *output = sys.argv[1:]
    for folder in output:
        Path(folder).mkdir()
    if task in PICTURES:
        work = partial(PICTURES[task], source, *output)
        items = sorted(os.listdir(source))
    else:
        work, items = partial(write, *output), list(enumerate(np.load(source)))
    cores = len(os.sched_getaffinity(0))
    started = time.perf_counter()
    if way == "threads":
        with ThreadPoolExecutor(cores) as pool:
            list(pool.map(work, items))
    else:
        with Pool(cores) as pool:
            pool.map(work, items, chunksize=CHUNK)
    print(json.dumps({"seconds": time.perf_counter() - started}))


if __name__ == "__main__":
    main()
