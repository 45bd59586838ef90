"""The best and the worst of many images, kept while they pass by, on one sheet."""
import numpy as np

from vae.images.sheets import make_grid, resize_image

SHOWN = 8  # best ones, and as many worst
STRETCHES = 32  # parts of the images, of each of which one is shown at most
GAP = 8  # pixels between parts of the sheet
SIDE = 112  # pixels; the longer side of an image is brought near it


class Gallery:
    """Keeps the images with the highest and the lowest scores, but few neighbours.

    Args:
        count: images to come. Of each stretch of them, a 32nd of all, at most one is
            among the best and one among the worst: frames near it look the same.
    """

    def __init__(self, count):
        self._stretch = -(-count // STRETCHES)
        self._best, self._worst = {}, {}  # stretch -> (score, column)
        self._count, self._pairs = 0, []

    def add(self, scores, rows):
        """Shows it a batch.

        Args:
            scores: (B,). rows: list of uint8 (B, H, W, C), what to show of each image
                from top to bottom.
        """
        for kept, keys in ((self._best, -scores), (self._worst, scores)):
            for at, key in enumerate(keys.tolist()):
                stretch = (self._count + at) // self._stretch
                if stretch not in kept or key < kept[stretch][0]:
                    column = [row[at].copy() for row in rows]  # no view of the batch
                    kept[stretch] = key, column
        self._count += len(scores)

    def add_pairs(self, top, bottom):
        """Has images shown above others, both uint8 (N, H, W, C), below the rest."""
        self._pairs.append([top[:SHOWN], bottom[:SHOWN]])

    def draw(self):
        """Returns the sheet: the best, the worst, and the pairs; uint8 (H, W, C)."""
        parts = []
        for kept in (self._best, self._worst):
            ordered = sorted(kept.values(), key=lambda entry: entry[0])
            columns = [column for _, column in ordered[:SHOWN]]
            parts.append([np.stack(row) for row in zip(*columns)])
        drawn = [_draw_rows(part) for part in parts + self._pairs]
        gap = np.zeros((GAP, *drawn[0].shape[1:]), np.uint8)
        spaced = [piece for part in drawn for piece in (part, gap)]
        return np.concatenate(spaced[:-1])


def _draw_rows(rows):
    grids = [make_grid(_bring_near(images), SHOWN) for images in rows]
    return np.concatenate(grids)


def _bring_near(images):
    """Makes small images larger by whole factors and large ones smaller."""
    height, width = images.shape[1:3]
    factor = SIDE // max(height, width)
    if factor >= 1:
        return images.repeat(factor, axis=1).repeat(factor, axis=2)
    scale = SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.stack([resize_image(image, *size) for image in images])
