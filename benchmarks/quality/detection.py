"""How near to their place `prepare --faces` brings the eyes, in frames made for it.

    python benchmarks/quality/detection.py

Pastes crops of the shared data, whose eyes are known, onto busy backgrounds, scaled and
turned, and looks for faces as the command does. Printed are the distances between where
the known eyes come to lie in the crop, 112 x 112, and where eyes belong; of the worse
eye. Known are the middles between the corners of each eye in `landmarks`; those come
from MediaPipe, whose networks are relatives of the ones tested.
"""

import argparse
import sys
import time
from pathlib import Path

import h5py
import numpy as np
from PIL import Image, ImageDraw

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from vae.images.networks import (  # noqa: E402
    CROP_SIDE,
    EYES,
    find_similarity,
    is_installed,
    move_points,
)
from vae.preparation.faces import FaceDetector  # noqa: E402

PEOPLE = ("actor", "actor_2", "drivers/a", "drivers/b", "drivers/c")
CORNERS = [[33, 133], [362, 263]]  # of both eyes, in `landmarks`
FRAME = (640, 480)
SCALES = (0.8, 3.0)
TURN = 25.0  # degrees, at most, to either side
SHAPES = (30, 80)  # drawn on a background
NOISE = 12.0  # gray levels
NEAR = 2.0  # pixels


def main():
    """Prints a row for each person, and one for all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--frames", type=int, default=80, help="of each person")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if not options.shared.is_dir():
        print(f"{options.shared}: not there, nothing was measured")
        return
    if not is_installed():
        sys.exit("--faces needs: pip install 'vae-faces[faces]'")
    detector, rng = FaceDetector(1), np.random.default_rng(options.seed)
    print(
        f"{'':10} frames  no face  within {NEAR:g}  median   95 %     worst  ms a frame"
    )
    everything = []
    for person in PEOPLE:
        path = options.shared / "data" / f"{person}.h5"
        found = measure(path, options.frames, detector, rng)
        print_row(person, found)
        everything += found
    print_row("all", everything)


def measure(path, count, detector, rng):
    """Returns (distance, seconds) of each frame; no distance where no face is found."""
    found = []
    with h5py.File(path) as file:
        for row in np.linspace(0, len(file["data"]) - 1, count).astype(int):
            eyes = file["landmarks"][row][CORNERS].mean(axis=1)
            frame, eyes = make_frame(file["data"][row], eyes, rng)
            started = time.process_time()
            face = detector.find(frame)
            seconds = time.process_time() - started
            distance = None
            if face:
                off = move_points(eyes, find_similarity(face.eyes, EYES)) - EYES
                distance = np.hypot(*off.T).max()
            found.append((distance, seconds))
    return found


def make_frame(crop, eyes, rng):
    """Pastes a crop somewhere on a background; returns the frame, and its eyes."""
    scale = rng.uniform(*SCALES)
    angle = np.deg2rad(rng.uniform(-TURN, TURN))
    turn = scale * np.array(
        [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    )
    room = np.minimum(CROP_SIDE / 2 * scale * 1.3, np.array(FRAME) / 2)
    middle = rng.uniform(room, FRAME - room)
    shift = middle - turn @ [CROP_SIDE / 2, CROP_SIDE / 2]
    back = np.linalg.inv(turn)
    way = np.column_stack([back, -back @ shift]).ravel()
    affine, size = Image.Transform.AFFINE, FRAME
    frame = draw_background(rng)
    pasted = Image.fromarray(crop).transform(
        size, affine, way, Image.Resampling.BICUBIC
    )
    inside = Image.new("L", (CROP_SIDE, CROP_SIDE), 255)
    inside = inside.transform(size, affine, way, Image.Resampling.BILINEAR)
    frame.paste(pasted, mask=inside)
    # A landmark at x is the middle of pixel x, which spans x to x + 1 here.
    return np.asarray(frame), (eyes + 0.5) @ turn.T + shift


def draw_background(rng):
    """Draws blurred colours, shapes on them, and noise: a PIL image."""
    rows, columns = rng.integers(4, 14, 2)
    colours = rng.integers(0, 256, (rows, columns, 3), np.uint8)
    picture = Image.fromarray(colours).resize(FRAME, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(picture)
    for _ in range(rng.integers(*SHAPES)):
        left, top = (int(rng.integers(-40, side)) for side in FRAME)
        wide, high = (int(side) for side in rng.integers(5, 160, 2))
        colour = tuple(int(level) for level in rng.integers(0, 256, 3))
        box = [left, top, left + wide, top + high]
        shape = (draw.rectangle, draw.ellipse)[rng.integers(2)]
        shape(box, fill=colour)
        draw.line(box, fill=colour[::-1], width=int(rng.integers(1, 8)))
    noise = rng.normal(0, NOISE, (FRAME[1], FRAME[0], 1))
    return Image.fromarray((np.asarray(picture) + noise).clip(0, 255).astype(np.uint8))


def print_row(name, found):
    """Prints what was found for one person."""
    distances = np.array([distance for distance, _ in found if distance is not None])
    missed = len(found) - len(distances)
    cells = f"{name:10} {len(found):6}  {missed:7}"
    if len(distances):
        near = np.sum(distances <= NEAR) / len(found)
        middle, most = np.quantile(distances, [0.5, 0.95])
        cells += (
            f"  {100 * near:7.1f}%  {middle:6.2f}  {most:6.2f}  {distances.max():8.2f}"
        )
    taken = 1000 * np.mean([seconds for _, seconds in found])
    print(f"{cells}  {taken:10.1f}", flush=True)


if __name__ == "__main__":
    main()
