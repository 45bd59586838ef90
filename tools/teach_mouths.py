"""Teach what mouths do, whoever's they are: drawn people with known expressions, each
bent, lit and blurred in many ways, give a small network that
`vae/strangers/features.py` reads strangers with. `python tools/teach_mouths.py
vae/strangers/mouths.npz` makes the file that is part of the package again, in about
four minutes. No photograph is involved."""

import argparse
import io
import sys
from dataclasses import replace
from multiprocessing import Pool
from pathlib import Path

import keras
import numpy as np
from keras import ops
from tqdm import tqdm

# Run as a script, Python looks for modules beside this file and not above it.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from examples.faces import draw_face  # noqa: E402
from examples.people import HAIRLINES, make_identity  # noqa: E402
from examples.performance import Expression  # noqa: E402
from vae.files import replace_file  # noqa: E402
from vae.strangers.features import oriented_gradients  # noqa: E402
from vae.strangers.registration import blur, cubic_matrix, warp  # noqa: E402

PEOPLE, LOOKS, FRAMES = 1000, 4, 16  # looks of a person, frames of a look
FIRST_PERSON = 100  # those before are kept for examples and tests
SIDE = 64  # pixels
HIDDEN, DROPOUT, RATE, PASSES = 64, 0.3, 1e-3, 16
BATCH = 8  # looks
OWN_LEVEL = 0.1  # weight of how open a mouth is, against how much more than usual
SHIFT = 0.1  # of the mouth, half sides, a standard deviation
# What a tracker's crop shows, in half sides: less forehead than `people.SHAPES`.
CLOSE_UP = {
    "cheek_width": (0.85, 1.1),
    "jaw_width": (0.6, 0.85),
    "chin_width": (0.25, 0.5),
    "chin_y": (0.9, 1.1),
    "eye_x": (0.36, 0.45),
    "eye_y": (-0.46, -0.34),
    "eye_width": (0.14, 0.2),
    "eye_height": (0.055, 0.12),
    "brow_thickness": (0.03, 0.1),
    "brow_arch": (0.0, 0.08),
    "nose_y": (0.16, 0.30),
    "nose_width": (0.12, 0.22),
    "mouth_y": (0.52, 0.66),
    "mouth_width": (0.24, 0.38),
    "lip_thickness": (0.025, 0.1),
}
ACCESSORIES = ("none", "stubble", "glasses", "freckles", "beard", "moustache")
SHARES = (0.3, 0.2, 0.2, 0.1, 0.1, 0.1)
ROWS, COLUMNS = np.mgrid[0:SIDE, 0:SIDE] * 2 / (SIDE - 1) - 1  # half sides


def main(arguments=None):
    """Draws, teaches and writes the file, in place of an older one."""
    parser = argparse.ArgumentParser(description="Teach what drawn mouths do.")
    parser.add_argument("output", metavar="OUT.npz", help="file to write")
    path = parser.parse_args(arguments).output
    if not Path(path).absolute().parent.is_dir():
        parser.error(f"{path}: there is no folder {Path(path).parent}")
    with Pool() as pool:
        people = range(FIRST_PERSON, FIRST_PERSON + PEOPLE)
        found = list(tqdm(pool.imap(show_person, people), "draw", PEOPLE))
    features, truth = (np.concatenate(part) for part in zip(*found, strict=True))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **fit_network(features, truth / truth.std((0, 1))))
    replace_file(path, buffer.getvalue())


def show_person(seed):
    """Draws a person in several looks.

    Returns:
        features (LOOKS, FRAMES, E) float16, and how far the mouth is open, smiles, is
        wide and is moved aside, (LOOKS, FRAMES, 4) float32.
    """
    random = np.random.default_rng([seed, 3])
    person = _choose_person(seed, random)
    features, truth = [], []
    for _ in range(LOOKS):
        played = _play(random)
        faces = np.stack([draw_face(person, face) for face in played]) / 255.0
        moved = random.random(FRAMES) < 0.6
        shift = SHIFT * random.normal(size=FRAMES) * moved
        features.append(oriented_gradients(_disguise(faces, shift, random)))
        known = [(face.mouth_open, face.smile, face.mouth_width) for face in played]
        truth.append(np.column_stack([known, shift]))
    return np.array(features, np.float16), np.array(truth, np.float32)


def _choose_person(seed, random):
    person = make_identity(seed)
    if random.random() < 0.75:
        shapes = {name: random.uniform(*span) for name, span in CLOSE_UP.items()}
        brow_y = shapes["eye_y"] - random.uniform(0.13, 0.27)
        hairline = np.array(HAIRLINES[random.integers(5)]) - random.uniform(0.1, 0.9)
        person = replace(person, brow_y=brow_y, hairline=tuple(hairline), **shapes)
    if random.random() < 0.5:  # fair
        hair = 0.4 * np.array(person.hair) + 0.6 * np.array(person.skin)
        person = replace(person, hair=tuple(hair))
    return replace(person, accessory=str(random.choice(ACCESSORIES, p=SHARES)))


def _play(random):
    """Returns FRAMES expressions, each on its own."""
    lively, turning = random.uniform(0.4, 1), random.uniform(0.2, 1)
    uniform = random.uniform
    return [
        Expression(
            mouth_open=lively * max(0, uniform(-0.5, 1)),
            smile=float(np.clip(random.normal(0, 0.5), -1, 1.2)),
            mouth_width=float(np.clip(random.normal(0, 0.5), -1.2, 1.2)),
            eyes=uniform(0.25, 1) if uniform() < 0.9 else 0.1,
            brows=uniform(-1, 1),
            frown=max(0, uniform(-1, 1)),
            gaze_x=uniform(-1, 1),
            gaze_y=uniform(-0.8, 0.8),
            yaw=turning * uniform(-1, 1),
            tilt=0.4 * uniform(-1, 1),
            light=uniform(-0.7, 0.7),
        )
        for _ in range(FRAMES)
    ]


def _disguise(faces, shift, random):
    """Bends, lights and blurs faces (N, H, W, 3), most of it alike for all of them.

    Returns:
        (N, H, W, 1) float32, 0..1.
    """
    weights = random.uniform(0.2, 1.2, 3)
    gray = faces @ (weights / weights.sum())
    places = _bend(shift, random)
    pairs = zip(gray, places, strict=True)
    rows = [warp(face[None, ..., None], place) for face, place in pairs]
    gray = np.concatenate(rows)[..., 0]
    gray = np.clip(gray, 1e-3, 1) ** np.exp(random.uniform(-0.5, 0.5))
    gray *= random.uniform(0.4, 1) * (1 + _wave(random, 4, 0.25) + _texture(random))
    gray *= np.stack([1 + _wave(random, 3, 0.06) for _ in gray])
    gray = blur(gray, random.uniform(0.3, 1))
    gray += random.uniform(0, 0.008) * random.normal(size=gray.shape)
    masked = gray * np.stack(list(_masks(random)))
    return masked[..., None].astype("f4")


def _bend(shift, random):
    """Where each frame's pixels are taken from, in pixels, N times (H, W, 2)."""
    uniform = random.uniform
    longer, wider = uniform(1, 1.5), uniform(0.9, 1.1)
    down, across = uniform(-0.06, 0.06, 2) * (1, 0.5)
    common = [_wave(random, 5, 0.07) for _ in range(2)]
    near = np.exp(-(((ROWS - 0.6) / 0.28) ** 4) - (COLUMNS / 0.6) ** 4)  # the mouth
    for aside in shift:
        own = [_wave(random, 4, 0.015) + uniform(-0.01, 0.01) for _ in range(2)]
        rows = 0.58 + (ROWS - 0.58 - down) / longer + common[0] + own[0]
        columns = COLUMNS / wider + across + common[1] + own[1] - aside * near
        yield (np.stack([rows, columns], axis=-1) + 1) * (SIDE - 1) / 2


def _wave(random, points, size):
    """A smooth random field (H, W), up to about `size`."""
    matrix = cubic_matrix(SIDE, points)
    return matrix @ random.uniform(-size, size, (points, points)) @ matrix.T


def _texture(random):
    """What skin is like, (H, W)."""
    total = 0
    for sigma, size in ((1.0, 0.06), (3.0, 0.3)):
        grain = blur(random.normal(size=(SIDE, SIDE)), sigma)
        total = total + random.uniform(0, size) * grain
    return total


def _masks(random):
    """Yields an egg for each frame, (H, W): 1 inside, 0 outside."""
    uniform = random.uniform
    wide, high, low = uniform(0.8, 0.95), uniform(0.9, 1.25), uniform(0.9, 1.05)
    for _ in range(FRAMES):
        top, chin = high + uniform(-0.03, 0.03), low + uniform(-0.04, 0.04)
        reach = np.where(
            ROWS < 0, np.abs(ROWS / top) ** 2.5, np.abs(ROWS / chin) ** 2.2
        )
        yield 1 / (1 + np.exp(30 * ((COLUMNS / wide) ** 2 + reach - 1)))


def fit_network(features, truth):
    """Trains a network of one hidden layer to tell a look's frames apart.

    Args:
        features: (G, FRAMES, E). truth: (G, FRAMES, M), of deviation 1.

    Returns:
        name -> float16 array, as `vae.strangers.features` reads them.
    """
    keras.utils.set_random_seed(0)
    dense = keras.layers.Dense
    hidden, last = dense(HIDDEN, activation="relu"), dense(truth.shape[-1])
    drop = keras.layers.Dropout(DROPOUT)
    network = keras.Sequential([drop, hidden, drop, last])

    def loss(true, found):
        error = true - found  # (G, FRAMES, M)
        change = error - ops.mean(error, 1, keepdims=True)
        return ops.mean(change**2) + OWN_LEVEL * ops.mean(error**2)

    batches = PASSES * -(-len(features) // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(RATE, batches)
    network.compile(keras.optimizers.AdamW(rate, weight_decay=1e-2), loss)
    network.fit(features.astype("f4"), truth, BATCH, PASSES, verbose=2)
    kernel, _ = last.get_weights()  # a bias is the same for all faces of a person
    names = ("hidden_kernel", "hidden_bias", "kernel")
    arrays = (*hidden.get_weights(), kernel)
    pairs = zip(names, arrays, strict=True)
    return {name: array.astype(np.float16) for name, array in pairs}


if __name__ == "__main__":
    main()
