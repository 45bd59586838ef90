"""Expression transfer to actors from people they never saw: the table, end to end.

    python benchmarks/quality/strangers.py --mesh PYTHON --dlib PYTHON

Trains on both actors of the shared data with default settings at 64x64, turns every
driver and the other actor into them with each alignment, and scores the pictures with
the shared tool. It counts what can be read of both people, and has two rulers, each of
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
DRIVERS = tuple(f"drivers/{name}" for name in "abcde")
PAIRS = [(a, d) for a in ACTORS for d in (*DRIVERS, *ACTORS) if a != d]
METHODS = [name for name in ALIGNMENTS if name != "register"]  # auto registers them
SHOWN = {"mesh": ("mean", "slope", "jitter")}
SHOWN["dlib"] = (*SHOWN["mesh"], "identity")
SIDE = ("--input-width", "64", "--input-height", "64")
DRAWN_FRAMES, DRAWN_STRANGERS = 1500, (1, 2, 3, 4, 5)


def main():
    """Prints the table of the shared data, where it is, and that of drawn people."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    for ruler in ("mesh", "dlib"):
        parser.add_argument(f"--{ruler}", help="python with that ruler's packages")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--folder", type=Path, help="where to keep models and pictures")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        rulers = {name: getattr(options, name) for name in ("mesh", "dlib")}
        rulers = {name: python for name, python in rulers.items() if python}
        if rulers and options.shared.is_dir():
            for seed in options.seeds:
                score_shared(options.shared, rulers, folder, seed)
        else:
            print("shared data: left out (needs --shared, and --mesh or --dlib)")
        for seed in options.seeds:
            score_drawn(folder, seed)


def score_shared(shared, rulers, folder, seed):
    """Prints the scores of every pair with every alignment, for one seed."""
    for actor in ACTORS:
        model = folder / f"{actor}-{seed}"
        if not model.exists():
            data = shared / "data" / f"{actor}.h5"
            run_tool("train", "--seed", seed, *SIDE, data, model)
        best = json.loads((model / "metadata.json").read_text())["best"]
        print(f"{actor}, seed {seed}: held-out {best['val_psnr']:.2f} dB")
    for method in METHODS:
        for actor, driver in PAIRS:
            model = folder / f"{actor}-{seed}"
            turn_into(shared, folder, model, driver, method)
    for ruler, python in rulers.items():
        print(f"| seed {seed}, {ruler} | {' | '.join(map('-'.join, PAIRS))} | mean |")
        for method in METHODS:
            found = []
            for actor, driver in PAIRS:
                pictures = folder / "pictures" / f"{actor}-{seed}" / method / driver
                data = [shared / "data" / f"{who}.h5" for who in (actor, driver)]
                found.append(score(shared, ruler, python, *data, pictures))
            cells = " | ".join(f"{each['mean']:.2f}" for each in found)
            means = {key: np.mean([x[key] for x in found]) for key in SHOWN[ruler]}
            shown = ", ".join(f"{key} {mean:.3f}" for key, mean in means.items())
            print(f"| {method} | {cells} | {shown} |", flush=True)


def turn_into(shared, folder, model, driver, method):
    """Writes the pictures of one driver as one actor, unless they are there."""
    crops = folder / "crops" / driver
    if not crops.exists():
        crops.mkdir(parents=True)
        data = shared / "data" / f"{driver}.h5"
        unpack = shared / "tools" / "unpack.py"
        subprocess.run([sys.executable, unpack, data, crops], check=True)
    output = folder / "pictures" / model.name / method / driver
    if not output.exists():
        run_tool("reconstruct", "--align", method, model, crops, output)


def score(shared, ruler, python, actor, driver, pictures):
    """Returns what the shared tool says of one driver's pictures as one actor."""
    tool = shared / "tools" / "transfer.py"
    command = [python, tool, actor, driver, pictures, "--ruler", ruler, "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


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
