"""Only the picture files: what no program that makes pictures can do faster in Pillow.

`pillow_only.py WAY reencode FOLDER OUTPUT` decodes and encodes each PNG of a folder,
`pillow_only.py WAY write IMAGES.npy OUTPUT` encodes arrays. WAY is threads or
processes, one for each core. It prints the seconds of the work, without the start.
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


def reencode(folder, output, name):
    """Decodes a file and writes its pixels again."""
    with Image.open(os.path.join(folder, name)) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    Image.fromarray(pixels).save(os.path.join(output, name))


def write(output, numbered):
    """Writes one image; numbered is (number, uint8 (H, W, 3))."""
    number, image = numbered
    Image.fromarray(image).save(os.path.join(output, f"{number:06d}.png"))


def main():
    """Does the work and prints its time as one JSON line."""
    way, task, source, output = sys.argv[1:]
    Path(output).mkdir()
    if task == "reencode":
        work, items = partial(reencode, source, output), sorted(os.listdir(source))
    else:
        work, items = partial(write, output), list(enumerate(np.load(source)))
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
