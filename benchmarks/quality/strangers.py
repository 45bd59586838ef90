"""Expression transfer to actors from people they never saw: the table, end to end.

    python benchmarks/quality/strangers.py --detector PYTHON

Trains on both actors of the shared data with default settings at 64x64, turns every
driver into them with each alignment, and scores the pictures with the shared tool,
which needs an environment of its own (it says which; PYTHON is the one in it). Then the
same on drawn people, whose true parameters are known; that part needs no shared data.
Models and pictures that are already in --folder are used again.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from examples.faces import render  # noqa: E402
from examples.people import make_identity  # noqa: E402
from examples.performance import perform  # noqa: E402
from examples.reading import correlate, fit_reader  # noqa: E402
from vae.config import ALIGNMENTS  # noqa: E402

ACTORS = ("actor", "actor_2")
DRIVERS = ("drivers/a", "drivers/b", "drivers/c")
METHODS = [name for name in ALIGNMENTS if name != "register"]  # auto registers them
SIDE = ("--input-width", "64", "--input-height", "64")
DRAWN_FRAMES, DRAWN_STRANGERS = 1500, (1, 2, 3, 4, 5)


def main():
    """Prints the table of the shared data, where it is, and that of drawn people."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--detector", help="python with the shared tool's packages")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--folder", type=Path, help="where to keep models and pictures")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if options.detector and options.shared.is_dir():
            for seed in options.seeds:
                score_shared(options.shared, options.detector, folder, seed)
        else:
            print("shared data: left out (needs --shared and --detector)")
        for seed in options.seeds:
            score_drawn(folder, seed)


def score_shared(shared, detector, folder, seed):
    """Prints the scores of every driver with every alignment, for one seed."""
    scores = {}
    for actor in ACTORS:
        model = folder / f"{actor}-{seed}"
        if not model.exists():
            data = shared / "data" / f"{actor}.h5"
            run_tool("train", "--seed", seed, *SIDE, data, model)
        best = json.loads((model / "metadata.json").read_text())["best"]
        print(f"{actor}, seed {seed}: held-out {best['val_psnr']:.2f} dB")
        for method in METHODS:
            for driver in DRIVERS:
                case = shared, detector, folder, model, driver, method
                scores[actor, driver, method] = score_driver(*case)
        own = score_driver(shared, detector, folder, model, actor, "auto")
        print(f"{actor}, seed {seed}: own frames {own:.3f}", flush=True)
    print(f"| seed {seed} | actor a b c | actor_2 a b c | mean | lowest |")
    for method in METHODS:
        row = [scores[a, d, method] for a in ACTORS for d in DRIVERS]
        cells = " ".join(f"{score:.2f}" for score in row[:3])
        others = " ".join(f"{score:.2f}" for score in row[3:])
        print(
            f"| {method} | {cells} | {others} | {np.mean(row):.3f} | {min(row):.2f} |"
        )


def score_driver(shared, detector, folder, model, driver, method):
    """Returns the shared tool's score of one driver, turned into one actor."""
    data = shared / "data" / f"{driver}.h5"
    crops = folder / "crops" / driver
    if not crops.exists():
        crops.mkdir(parents=True)
        unpack = shared / "tools" / "unpack.py"
        subprocess.run([sys.executable, unpack, data, crops], check=True)
    output = folder / "pictures" / model.name / method / driver
    if not output.exists():
        run_tool("reconstruct", "--align", method, model, crops, output)
    tool = shared / "tools" / "expression.py"
    command = [detector, tool, data, output, "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)["mean"]


def score_drawn(folder, seed):
    """Prints mean r between what drawn strangers did and what the actor does."""
    parameters = perform(0, DRAWN_FRAMES)
    images = render(make_identity(0), parameters, 64, 64)
    read = fit_reader(shrink(images), parameters)
    model, data = folder / f"drawn-actor-{seed}", folder / "drawn.h5"
    if not data.exists():
        draw = [sys.executable, ROOT / "examples" / "draw.py", data]
        subprocess.run([*draw, "--frames", str(DRAWN_FRAMES)], check=True)
    if not model.exists():
        run_tool("train", "--seed", seed, data, model)
    for identity in DRAWN_STRANGERS:
        crops = folder / f"drawn-{identity}"
        output = folder / f"drawn-{identity}-as-{seed}"
        played = perform(identity, 300)
        if not crops.exists():
            draw = [sys.executable, ROOT / "examples" / "draw.py", "--folder", crops]
            person = ["--identity", str(identity), "--seed", str(identity)]
            subprocess.run([*draw, *person, "--frames", "300"], check=True)
        if not output.exists():
            run_tool("reconstruct", model, crops, output)
        paths = sorted(output.iterdir())
        results = np.stack([np.asarray(Image.open(path)) for path in paths])
        scores = correlate(played, read(shrink(results)))
        mean, worst = np.mean(list(scores.values())), min(scores, key=scores.get)
        print(
            f"seed {seed}, drawn stranger {identity}: mean r {mean:.3f}, lowest"
            f" {scores[worst]:.2f} ({worst})"
        )


def shrink(images):
    """Halves images (N, 2H, 2W, C) by averaging, for the regression."""
    count, height, width, channels = images.shape
    parts = images.reshape(count, height // 2, 2, width // 2, 2, channels)
    return parts.mean(axis=(2, 4))


def run_tool(*arguments):
    """Runs `vae.py` with its progress on stderr."""
    command = [sys.executable, ROOT / "vae.py", *map(str, arguments)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
