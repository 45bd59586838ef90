"""`make demo`: the whole tool on drawn faces, in a few minutes and without any data.

Draws an actor and a stranger, trains on the actor, samples walks, and turns the
stranger into the actor, as pictures and as a film of both, and writes a page to play
the actor. Each command is shown before it runs, to be copied. Pictures of the README
and of docs/ are those that this leaves.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
ACTOR, STRANGER = ("0", "0"), ("3", "3")  # identity and seed of its performance
ACTOR_FRAMES, STRANGER_FRAMES, EPOCHS = 1500, 200, 20
SHOWN = 8  # pairs in the picture at the end
GAP = 4  # pixels


def run_demo(folder, frames=ACTOR_FRAMES, crops=STRANGER_FRAMES, epochs=EPOCHS):
    """Runs every command below `folder`; raises CalledProcessError if one fails."""
    folder = Path(folder)
    if folder.exists():
        raise SystemExit(f"{folder}: already there; remove it, or name another folder")
    folder.mkdir(parents=True)
    actor, stranger = folder / "actor.h5", folder / "stranger"
    model, walks = folder / "model", folder / "walks"
    result = folder / "stranger_as_actor"
    _run("examples/draw.py", *_person(ACTOR), "--frames", frames, actor)
    crops = "--frames", crops, "--folder", stranger
    _run("examples/draw.py", *_person(STRANGER), *crops)
    _run("vae.py", "train", "--epochs", epochs, actor, model)
    _run("vae.py", "sample", "--output-dir", walks, model)
    _run("vae.py", "reconstruct", model, stranger, result)
    film = folder / "stranger_beside_actor.webp"
    _run("vae.py", "reconstruct", "--side-by-side", model, stranger, film)
    page = folder / "explorer.html"
    _run("vae.py", "explore", model, page)
    picture = folder / "stranger_above_actor_below.png"
    Image.fromarray(_pair_up(stranger, result)).save(picture)
    shown = film, page, picture, walks / "walks.png", model / "history.png"
    print("\nlook at", *shown, sep="\n  ")


def _person(identity_and_seed):
    identity, seed = identity_and_seed
    return "--identity", identity, "--seed", seed


def _run(script, *arguments):
    arguments = [str(argument) for argument in arguments]
    print("\n$ python", script, *arguments, flush=True)
    subprocess.run([sys.executable, str(ROOT / script), *arguments], check=True)


def _pair_up(above, below):
    """Returns (H, W, 3): some pictures of a folder above their namesakes in another."""
    names = sorted(path.name for path in above.iterdir())
    chosen = np.linspace(0, len(names) - 1, SHOWN).astype(int)
    rows = [
        np.concatenate([_framed(folder / names[n]) for n in chosen], axis=1)
        for folder in (above, below)
    ]
    return np.concatenate(rows)


def _framed(path):
    return np.pad(np.asarray(Image.open(path)), ((0, GAP), (0, GAP), (0, 0)))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: demo.py FOLDER")
    try:
        run_demo(sys.argv[1])
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
