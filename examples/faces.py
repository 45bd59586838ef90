"""A parametric cartoon face, drawn as a face tracker would crop it: the head
fills the picture and everything around it is black. Any person can make any
expression, and an expression is a handful of numbers, so how well one was
transferred to somebody else can be measured exactly."""

from functools import lru_cache

import numpy as np

from examples.canvas import Canvas, band, bend, ellipse, place_across, stroke
from examples.performance import Expression

SIDES = np.array((-1, 1))
ARC = np.linspace(-1, 1, 17)  # places along a mouth, an eye or a brow
BULGE = 1 - ARC**2
ACROSS = np.linspace(-1, 1, 33)  # places along the whole head
BEARDS = {"beard": 0.95, "stubble": 0.3}  # their opacity
DARK = np.array((40, 22, 26))
EYE_WHITE = 250, 248, 246
LAMP_ANGLE = np.radians(48)  # how far the light moves aside at light = 1


def draw_face(identity, expression, width=64, height=64):
    """Draw an `Identity` making an `Expression`: (H, W, 3) uint8, rows first."""
    skin = _tint_skin(identity, expression, width, height)
    canvas = Canvas(skin, expression.yaw, expression.tilt)
    _draw_folds(canvas, identity, expression)
    _draw_hair(canvas, identity)
    if identity.accessory in BEARDS:
        _draw_beard(canvas, identity, BEARDS[identity.accessory])
    for side in SIDES:
        _draw_eye(canvas, identity, expression, side)
        _draw_brow(canvas, identity, expression, side)
    _draw_nose(canvas, identity)
    _draw_mouth(canvas, identity, expression)
    if identity.accessory == "glasses":
        _draw_glasses(canvas, identity)
    flat = canvas.crop(_trace_head(identity, expression))
    lit = flat * _shine(expression.light, width, height) * np.array(identity.tone)
    return lit.clip(0, 255).astype(np.uint8)


def render(identity, parameters, width=64, height=64):
    """Draw one face for each row of `parameters` (N, P): (N, H, W, 3) uint8."""
    faces = [draw_face(identity, Expression(*p), width, height) for p in parameters]
    return np.array(faces, np.uint8).reshape(-1, height, width, 3)


def _trace_head(identity, expression):
    """Return the outline of the head, which the jaw lengthens, (K, 2)."""
    drop = 0.04 * expression.mouth_open
    right = np.array(
        (
            (0.50, -0.92),
            (identity.cheek_width - 0.07, -0.56),
            (identity.cheek_width, -0.08),
            (identity.cheek_width - 0.06, 0.28),
            (identity.jaw_width, 0.6),
            (identity.chin_width, identity.chin_y - 0.06 + drop),
        )
    )
    top, chin = (0, -0.99), (0, identity.chin_y + drop)
    return bend(np.vstack((top, right, [chin], right[::-1] * (-1, 1))))


def _tint_skin(identity, expression, width, height):
    """Return the skin, shaded by soft spots, under an even light: (H, W, 3)."""
    spots = _list_spots(identity)
    x, y, radius_x, radius_y = np.array([s[:4] for s in spots]).T[..., None]
    colours = np.array([s[4] for s in spots])
    x = place_across(x, expression.yaw)
    across = np.exp(-(((_spread(width) - x) / radius_x) ** 2))  # (spots, W)
    down = np.exp(-(((_spread(height) - y) / radius_y) ** 2))  # (spots, H)
    painted = (across[:, :, None] * colours[:, None]).reshape(len(spots), -1)
    return identity.skin + (down.T @ painted).reshape(height, width, 3)


def _list_spots(identity):
    """Return each soft spot's x, y, radii in both directions and colour to add."""
    skin = np.array(identity.skin)
    blush, shadow, glow = np.array(identity.lips) - skin, -0.5 * skin, 0.12 * skin + 12
    wing, eye_y = identity.nose_width, identity.eye_y
    spots = [
        (0, -0.62, 0.5, 0.2, glow),
        (0, 0.02, 0.05, 0.2, glow),
        (0, identity.nose_y - 0.03, wing, 0.08, blush * 0.35),
        (0, identity.nose_y + 0.11, wing, 0.07, shadow * 0.45),
        (0, identity.mouth_y + 0.3, 0.2, 0.07, glow),
    ]
    for side in SIDES:
        socket = side * identity.eye_x, eye_y, 0.3, identity.eye_height + 0.1
        spots.append((*socket, shadow * 0.35))
        spots.append((side * 0.56, 0.2, 0.2, 0.17, blush * 0.4))
        spots.append((side * 0.13, -0.05, 0.07, 0.2, shadow * 0.22))
    return spots


@lru_cache
def _spread(pixels):
    return (np.arange(pixels) + 0.5) * 2 / pixels - 1


def _shine(light, width, height):
    """Return how brightly a round head is lit from the side `light`, (H, W, 1)."""
    x, y = np.meshgrid(_spread(width) * 0.92, _spread(height) * 0.8)
    z = np.sqrt(np.clip(1 - x**2 - y**2, 0, 1))
    angle = light * LAMP_ANGLE
    facing = x * np.sin(angle) * 0.9 - 0.28 * y + z * np.cos(angle) * 0.9
    return (0.54 + 0.58 * facing.clip(0) + 0.1 * z)[..., None]


def _draw_folds(canvas, identity, expression):
    crease = np.array(identity.skin) * 0.62
    reach = identity.mouth_width + 0.12 + 0.08 * expression.mouth_width
    bottom = identity.mouth_y - 0.04 - 0.06 * expression.smile
    swell = np.sin(np.linspace(0, np.pi, 7))
    for side in SIDES:
        x = np.linspace(identity.nose_width + 0.05, reach, 7) + 0.05 * swell
        y = np.linspace(identity.nose_y + 0.04, bottom, 7)
        fold = stroke(np.stack((side * x, y), 1), 0.01 + 0.025 * swell)
        canvas.fill(fold, crease, 0.1 + 0.6 * max(expression.smile, 0))
        x = np.linspace(0.07, 0.05, 5)
        y = identity.brow_y + np.linspace(-0.1, 0.1, 5)
        knit = stroke(np.stack((side * x, y), 1), 0.03)
        canvas.fill(knit, crease, 0.8 * expression.frown)
    if identity.accessory == "freckles":
        for x, y in identity.marks:
            spot = ellipse(x, y, 0.022, 0.02, 8)
            canvas.fill(spot, np.array(identity.skin) * (0.68, 0.52, 0.42), 0.8)


def _draw_hair(canvas, identity):
    hair = np.array(identity.hair)
    x = np.linspace(-1, 1, len(identity.hairline))
    line = np.interp(ACROSS, x, identity.hairline)
    canvas.fill(band(ACROSS, -1.3, line), hair)
    for shift in 0.12, 0.26:
        strand = stroke(np.stack((ACROSS, line - shift), 1), 0.03)
        canvas.fill(strand, hair + 45, 0.35)


def _draw_beard(canvas, identity, opacity):
    x = np.array((0, 0.2, 0.36, 0.46, 0.58, 0.74, 1.0))
    y = identity.mouth_y + np.array((-0.15, -0.17, -0.12, 0.02, 0.0, -0.22, -0.6))
    edge = np.interp(abs(ACROSS), x, y)
    canvas.fill(band(ACROSS, edge, 1.3), identity.hair, opacity)


def _draw_eye(canvas, identity, expression, side):
    wide, high = identity.eye_width, identity.eye_height
    x = side * identity.eye_x + wide * ARC
    slant = identity.eye_y - identity.eye_slant * ARC * side
    lower = slant + 0.6 * high * BULGE
    lid = 0.6 * high * BULGE - 1.8 * high * BULGE**0.7 * expression.eyes
    upper = np.minimum(slant + lid, lower)
    fold = np.minimum(slant - 1.25 * high * BULGE**0.7, upper)
    canvas.fill(band(x, fold, upper), np.array(identity.skin) * 0.8)
    canvas.fill(band(x, upper, lower), EYE_WHITE)
    _draw_iris(canvas, identity, expression, x, upper, lower)
    canvas.fill(band(x, upper, np.minimum(upper + 0.04, lower)), DARK, 0.25)
    canvas.fill(stroke(np.stack((x, upper), 1), 0.03 + 0.02 * BULGE), DARK)
    canvas.fill(stroke(np.stack((x, lower), 1), 0.014), DARK, 0.5)


def _draw_iris(canvas, identity, expression, x, upper, lower):
    high, colour = identity.eye_height, np.array(identity.iris)
    middle_x = x.mean() + 0.6 * identity.eye_width * expression.gaze_x
    middle_y = identity.eye_y + high * (0.55 * expression.gaze_y - 0.1)
    rings = (0.72, colour * 0.55), (0.62, colour * 1.25), (0.35, DARK * 0.4)
    for size, paint in rings:
        disk = ellipse(middle_x, middle_y, high * size, high * size)
        disk[:, 0] = disk[:, 0].clip(x[1], x[-2])
        roof, floor = np.interp(disk[:, 0], x, upper), np.interp(disk[:, 0], x, lower)
        disk[:, 1] = disk[:, 1].clip(roof, floor)
        canvas.fill(disk, paint)
    spark = ellipse(middle_x - 0.04, middle_y - 0.05, 0.03, 0.03, 10)
    if spark[:, 1].min() > np.interp(middle_x, x, upper):
        canvas.fill(spark, EYE_WHITE)


def _draw_brow(canvas, identity, expression, side):
    inner = (1 - ARC) / 2  # 1 beside the nose, 0 at the temple
    knit = expression.frown * inner**1.5
    x = identity.eye_x + 0.01 + (identity.eye_width + 0.02) * ARC - 0.07 * knit
    y = identity.brow_y - identity.brow_arch * BULGE + 0.05 * (1 - inner) ** 2
    y = y - 0.09 * expression.brows + 0.12 * knit
    thickness = identity.brow_thickness * (0.35 + 0.65 * inner**0.5) + 0.012
    brow = stroke(np.stack((side * x, y), 1), thickness)
    canvas.fill(brow, np.array(identity.hair) * 0.62)


def _draw_nose(canvas, identity):
    skin = np.array(identity.skin)
    wide, tip = identity.nose_width, identity.nose_y
    for side in SIDES:
        wing = ellipse(side * wide * 0.8, tip, wide * 0.45, 0.065, 14)
        canvas.fill(wing, skin * 0.8, 0.85, depth=0.15)
        hole = ellipse(side * wide * 0.5, tip + 0.045, wide * 0.26, 0.022, 12)
        canvas.fill(hole, skin * 0.35, depth=0.15)
    ball = ellipse(0, tip - 0.015, wide * 0.75, 0.075)
    canvas.fill(ball, skin * 0.97, depth=0.22)
    gleam = ellipse(0, tip - 0.04, wide * 0.3, 0.028, 12)
    canvas.fill(gleam, (255, 255, 255), 0.35, depth=0.25)


def _draw_mouth(canvas, identity, expression):
    wide = identity.mouth_width + 0.12 * expression.mouth_width
    x = wide * ARC
    pout = 1 - 0.35 * expression.mouth_width
    thick = identity.lip_thickness * pout
    curl = 0.15 * expression.smile + 0.05
    line = identity.mouth_y - curl * (ARC**2 - 0.35)
    gap = expression.mouth_open
    upper = line - (0.05 * gap + 0.006) * BULGE
    lower = line + (0.27 * gap + 0.012) * BULGE**0.7
    lips, hollow = np.array(identity.lips), DARK + (40, 0, 4)
    cupid = BULGE**0.6 * (1 - 0.35 * np.exp(-((ARC / 0.16) ** 2)))
    canvas.fill(band(x, upper - thick * cupid, upper), lips * 0.86)
    canvas.fill(band(x, lower, lower + 1.25 * thick * BULGE**0.6), lips)
    canvas.fill(band(x, upper, lower), hollow)
    seam = stroke(np.stack((x, line), 1), 0.03 * (1 - min(2 * gap, 1)))
    canvas.fill(seam, hollow)
    tongue_top = line + 0.27 * gap - 0.1 * BULGE**0.5 + 0.03 * np.exp(-(ARC**2) * 60)
    tongue = band(x, np.clip(tongue_top, upper, lower), lower)
    canvas.fill(tongue, (206, 84, 92))
    shown = 0.085 * BULGE**0.4 * min(4 * gap, 1)
    canvas.fill(band(x, upper, np.minimum(upper + shown, lower)), (246, 242, 232))
    if identity.accessory == "moustache":
        _draw_moustache(canvas, identity)


def _draw_moustache(canvas, identity):
    middle = (identity.nose_y + identity.mouth_y) / 2 + 0.02
    x = (identity.mouth_width + 0.04) * ARC
    top = middle - 0.075 * BULGE**0.6 + 0.06 * ARC**2
    bottom = middle + 0.035 * BULGE + 0.1 * ARC**2
    canvas.fill(band(x, top, bottom), identity.hair)


def _draw_glasses(canvas, identity):
    frame = (38, 36, 48)
    wide, high = identity.eye_width + 0.06, identity.eye_height + 0.07
    for side in SIDES:
        lens = ellipse(side * identity.eye_x, identity.eye_y, wide, high, 25)
        closed = np.vstack((lens, lens[:1]))
        canvas.fill(stroke(closed, 0.035), frame, depth=0.04)
        arm = np.array(((side * (identity.eye_x + wide), identity.eye_y), (side, -0.2)))
        canvas.fill(stroke(arm, 0.035), frame)
    x = (identity.eye_x - wide) * ARC
    bridge = np.stack((x, identity.eye_y - 0.03 * BULGE), 1)
    canvas.fill(stroke(bridge, 0.035), frame, depth=0.04)
