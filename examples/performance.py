"""What an actor does in front of the camera: every parameter of the expression
wanders smoothly and on its own, expressions are held for a while, and the eyes
blink. The value at a frame depends on the seed and the frame alone."""

from typing import NamedTuple

import numpy as np

WAVES = 4  # sine waves that make up the wandering of one parameter
SLOWEST, FASTEST = 1 / 240, 1 / 30  # waves per frame
HOLD_PERIOD = 40  # frames from one held expression to the next
HOLD = 0.7  # 0 moves evenly, 1 stands still in the middle of a hold
CLOSED_SHARE = 0.2  # of the time, a parameter that rests at 0 rests
BLINK_PERIOD = 100  # frames in which there is one blink
BLINK_LENGTH = 9  # frames


class Expression(NamedTuple):
    """What a face is doing; the defaults are a face at rest."""

    mouth_open: float = 0.0  # 0 closed .. 1 wide open
    smile: float = 0.0  # -1 corners down .. 1 corners up
    mouth_width: float = 0.0  # -1 puckered .. 1 stretched
    eyes: float = 0.6  # 0 shut .. 1 wide open
    brows: float = 0.0  # -1 low .. 1 raised
    frown: float = 0.0  # 0 relaxed .. 1 brows knitted
    gaze_x: float = 0.0  # -1 to the left of the picture .. 1 to the right
    gaze_y: float = 0.0  # -1 up .. 1 down
    yaw: float = 0.0  # head turned, -1 left of the picture .. 1 right
    tilt: float = 0.0  # head rolled, -1 anticlockwise .. 1 clockwise
    light: float = 0.0  # where light comes from, -1 left .. 1 right


PARAMETERS = Expression._fields


def perform(seed, frames):
    """Return what happens in `frames` frames: (N, P) float32, a column for each of
    `PARAMETERS` in the range that `Expression` gives. A longer performance of the
    same seed begins with the shorter one."""
    values = _wander(seed, np.arange(frames))  # (N, P) in -1..1
    for name in "mouth_open", "frown":
        column = PARAMETERS.index(name)
        share = (values[:, column] + 1) / 2
        values[:, column] = (share - CLOSED_SHARE) / (1 - CLOSED_SHARE)
        values[:, column] = values[:, column].clip(0)
    eyes = PARAMETERS.index("eyes")
    values[:, eyes] = (0.65 + 0.35 * values[:, eyes]) * _open_lids(seed, frames)
    return values.astype(np.float32)


def _wander(seed, frame):
    random = np.random.default_rng([seed, 1])
    count = len(PARAMETERS)
    # No two waves share a frequency: that is what keeps parameters independent.
    order = random.permuted(np.tile(np.arange(count), (WAVES, 1)), axis=1)
    steps = np.arange(WAVES)[:, None] * count + order + random.random()
    frequency = SLOWEST + (FASTEST - SLOWEST) * steps / (WAVES * count)
    phase = random.uniform(0, 2 * np.pi, (WAVES, count))
    hold = 2 * np.pi * frame / HOLD_PERIOD
    time = frame + HOLD * HOLD_PERIOD / (2 * np.pi) * np.sin(hold)  # (N,)
    waves = np.sin(2 * np.pi * frequency * time[:, None, None] + phase)
    bell = waves.sum(1) / np.sqrt(WAVES / 2)  # (N, P), about normal
    return np.tanh(0.8 * bell + 0.036 * bell**3)  # about uniform


def _open_lids(seed, frames):
    random = np.random.default_rng([seed, 2])
    blinks = -(-frames // BLINK_PERIOD)
    start = random.uniform(0, BLINK_PERIOD - BLINK_LENGTH, blinks)
    frame = np.arange(frames)
    since = frame % BLINK_PERIOD - start[frame // BLINK_PERIOD]  # (N,)
    shut = np.sin(np.pi * np.clip(since / BLINK_LENGTH, 0, 1)) ** 2
    return 1 - shut
