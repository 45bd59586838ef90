"""The sheet a cartoon head is drawn on: it knows how the head is turned and
tilted, so that whoever draws a feature only says where it is on a head that
looks straight ahead. Shapes are filled four times larger than asked for and
averaged down, which is what makes edges smooth."""

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

SUPERSAMPLING = 4
YAW = np.radians(12)  # the head's turn at yaw = 1
TILT = np.radians(4.5)  # the head's roll at tilt = 1


class Canvas:
    """A picture of width x height pixels, to be filled with shapes given in half
    sides of the crop: x and y from -1 (left, top) to 1 (right, bottom).

    `skin` is what is there at first, (H, W, 3) floats in 0..255; `yaw` and
    `tilt` are in -1..1.
    """

    def __init__(self, skin, yaw, tilt):
        height, width = skin.shape[:2]
        self.size = width * SUPERSAMPLING, height * SUPERSAMPLING
        pixels = skin.clip(0, 255).astype(np.uint8)
        self.image = Image.fromarray(pixels).resize(self.size, Image.NEAREST)
        self.pen = ImageDraw.Draw(self.image, "RGBA")
        self.yaw = yaw
        angle = tilt * TILT
        turn = np.array(
            [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
        )
        self.scale = turn * (np.array(self.size) / 2)
        self.centre = np.array(self.size) / 2

    def fill(self, points, colour, alpha=1.0, depth=0.0):
        """Fill the outline `points` (K, 2), on the head's surface or `depth` half
        sides in front of it, with an RGB colour of the given opacity."""
        paint = *(int(min(max(c, 0), 255)) for c in colour), int(255 * alpha)
        self.pen.polygon(self._place(points, depth), fill=paint)

    def crop(self, outline):
        """Return the picture, black outside `outline` (K, 2), as (H, W, 3) uint8."""
        shifted = outline - (_recentre(self.yaw), 0)
        mask = Image.new("L", self.size)
        corners = (shifted @ self.scale + self.centre).ravel().tolist()
        ImageDraw.Draw(mask).polygon(corners, fill=255)
        black = Image.new("RGB", self.size)
        black.paste(self.image, mask=mask)
        return np.asarray(black.reduce(SUPERSAMPLING))

    def _place(self, points, depth):
        placed = np.array(points)
        placed[:, 0] = place_across(points[:, 0], self.yaw, depth)
        return (placed @ self.scale + self.centre).ravel().tolist()


def place_across(x, yaw, depth=0.0):
    """Return where places `x` (half sides, -1 to 1) on a round head, or `depth` in
    front of it, appear when the head is turned by `yaw` (-1 to 1)."""
    angle = np.arcsin(np.clip(x, -1, 1))
    return (1 + depth) * np.sin(angle + yaw * YAW) - _recentre(yaw)


def _recentre(yaw):
    # A tracker centres the crop on the features more than on the outline.
    return 0.85 * np.sin(yaw * YAW)


def ellipse(x, y, radius_x, radius_y, corners=20):
    """Return the outline of an ellipse, (corners, 2)."""
    circle = _circle(corners)
    return circle * (radius_x, radius_y) + (x, y)


def band(x, top, bottom):
    """Return the outline of what is between two curves over `x`, (2K, 2)."""
    over = np.stack((x, top + 0 * x), axis=1)
    under = np.stack((x, bottom + 0 * x), axis=1)
    return np.concatenate((over, under[::-1]))


def stroke(points, thickness):
    """Return the outline of a brush stroke along `points` (K, 2), as thick as
    `thickness`, one number or one for each point."""
    along = np.empty_like(points)
    along[1:-1] = points[2:] - points[:-2]
    along[0], along[-1] = points[1] - points[0], points[-1] - points[-2]
    across = along[:, ::-1] * (-1, 1) / np.hypot(*along.T)[:, None]
    side = across * np.reshape(thickness, (-1, 1)) / 2
    return np.concatenate((points + side, (points - side)[::-1]))


def bend(corners, steps=6):
    """Return a smooth closed curve through `corners` (K, 2): (K * steps, 2)."""
    before, after = np.roll(corners, 1, axis=0), np.roll(corners, -1, axis=0)
    last = np.roll(corners, -2, axis=0)
    parts = np.stack((before, corners, after, last))  # (4, K, 2)
    return np.einsum("sp,pkc->ksc", _spline(steps), parts).reshape(-1, 2)


@lru_cache
def _circle(corners):
    angles = np.arange(corners) * 2 * np.pi / corners
    return np.stack((np.cos(angles), np.sin(angles)), axis=1)


@lru_cache
def _spline(steps):
    t = np.arange(steps)[:, None] / steps
    catmull_rom = np.array(
        ((0, 2, 0, 0), (-1, 0, 1, 0), (2, -5, 4, -1), (-1, 3, -3, 1))
    )
    return t ** np.arange(4) @ catmull_rom / 2
