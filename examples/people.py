"""Who is in the picture: everything about a cartoon face that its expression
does not change, drawn from a seed. Neighbouring seeds are given different skin,
hair and accessories on purpose, so that a handful of people always look like a
handful of people."""

from dataclasses import dataclass

import numpy as np

SKIN_TONES = np.array(
    [
        (255, 222, 202),
        (247, 202, 166),
        (228, 174, 128),
        (196, 136, 94),
        (146, 92, 62),
        (96, 62, 48),
    ],
    dtype=float,
)
HAIR_COLOURS = (
    (74, 46, 30),
    (28, 24, 28),
    (186, 88, 36),
    (48, 34, 30),
    (214, 172, 98),
    (138, 134, 136),
    (112, 70, 36),
)
IRIS_COLOURS = (
    (54, 138, 86),
    (84, 50, 28),
    (64, 132, 196),
    (120, 84, 36),
    (104, 124, 138),
)
# Heights of the hairline at nine equally spaced places from x = -1 to 1.
HAIRLINES = (
    (0.10, -0.32, -0.52, -0.66, -0.76, -0.84, -0.76, -0.42, 0.05),  # parted
    (-0.10, -0.45, -0.70, -0.80, -0.74, -0.80, -0.70, -0.45, -0.10),  # peaked
    (0.15, -0.35, -0.62, -0.60, -0.66, -0.60, -0.62, -0.35, 0.15),  # fringe
    (0.12, -0.30, -0.74, -0.94, -0.86, -0.94, -0.74, -0.30, 0.12),  # receding
    (0.20, -0.20, -0.50, -0.72, -0.82, -0.72, -0.50, -0.20, 0.20),  # round
)
ACCESSORIES = ("none", "beard", "freckles", "glasses", "moustache", "stubble")
GOLDEN = 0.618033988749895  # steps of it spread any number of seeds over 0..1

# Lengths and positions, in half sides of the crop, and what each may be.
SHAPES = {
    "cheek_width": (0.78, 0.88),
    "jaw_width": (0.52, 0.67),
    "chin_width": (0.20, 0.36),
    "chin_y": (0.88, 0.96),
    "eye_x": (0.33, 0.41),
    "eye_y": (-0.20, -0.10),
    "eye_width": (0.205, 0.26),
    "eye_height": (0.145, 0.19),
    "eye_slant": (-0.035, 0.035),
    "brow_y": (-0.50, -0.45),
    "brow_thickness": (0.03, 0.075),
    "brow_arch": (0.02, 0.09),
    "nose_y": (0.14, 0.23),
    "nose_width": (0.09, 0.17),
    "mouth_y": (0.47, 0.54),
    "mouth_width": (0.26, 0.36),
    "lip_thickness": (0.045, 0.095),
}


@dataclass(frozen=True)
class Identity:
    """One person. Colours are RGB in 0..255; lengths are in half sides of the
    crop, whose x and y run from -1 (left, top) to 1 (right, bottom)."""

    skin: tuple
    lips: tuple
    hair: tuple
    iris: tuple
    tone: tuple  # colour of the light, a factor for each channel
    hairline: tuple
    accessory: str
    marks: tuple  # (x, y) of each freckle
    cheek_width: float
    jaw_width: float
    chin_width: float
    chin_y: float
    eye_x: float
    eye_y: float
    eye_width: float
    eye_height: float
    eye_slant: float
    brow_y: float
    brow_thickness: float
    brow_arch: float
    nose_y: float
    nose_width: float
    mouth_y: float
    mouth_width: float
    lip_thickness: float


def make_identity(seed):
    """Return the `Identity` of a seed, an integer from 0."""
    random = np.random.default_rng([seed, 0])
    shapes = {name: random.uniform(*limits) for name, limits in SHAPES.items()}
    skin = _mix_skin((0.25 + seed * GOLDEN) % 1) * random.uniform(0.97, 1.03, 3)
    redness = random.uniform(0.5, 0.75)
    lips = skin * (1 - redness) + np.array((176, 42, 60)) * redness
    warmth = random.uniform(-0.06, 0.06)
    marks = random.uniform((0.16, 0.02), (0.62, 0.3), (9, 2))
    marks[::2, 0] *= -1  # every other freckle is on the other cheek
    return Identity(
        skin=tuple(skin),
        lips=tuple(lips),
        hair=HAIR_COLOURS[seed % len(HAIR_COLOURS)],
        iris=IRIS_COLOURS[seed % len(IRIS_COLOURS)],
        tone=(1 + warmth, 1.0, 1 - warmth),
        hairline=HAIRLINES[seed % len(HAIRLINES)],
        accessory=ACCESSORIES[seed % len(ACCESSORIES)],
        marks=tuple(map(tuple, marks)),
        **shapes,
    )


def _mix_skin(darkness):
    position = darkness * (len(SKIN_TONES) - 1)
    places = np.arange(len(SKIN_TONES))
    return np.array([np.interp(position, places, SKIN_TONES[:, c]) for c in range(3)])
