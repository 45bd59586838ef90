"""What TensorBoard's Embedding Projector reads: codes, their names and small faces."""

import os

import numpy as np

from vae.files import replace_file
from vae.images.pixels import limit_size, resize_image
from vae.images.sheets import make_grid, write_png

MOST = 4096  # images of a file, evenly spread; the projector slows down beyond
SPRITE_SIDE = 8192  # pixels, the largest picture it takes
THUMBNAIL = 64  # pixels, of the longer side of a face, at most
CONFIG, SPRITE, METADATA = "projector_config.pbtxt", "sprite.png", "metadata.tsv"


def name_codes(models: int) -> list[str]:
    """Returns the file name of each model's codes."""
    return ["codes.tsv"] if models == 1 else ["codes_a.tsv", "codes_b.tsv"]


class Projection:
    """Codes and thumbnails that are collected while the images pass by.

    Args:
        count: images there are. models: models that encode them, one or two.
    """

    def __init__(self, count: int, models: int) -> None:
        self._chosen = set(np.linspace(0, count - 1, MOST).astype(int).tolist())
        self._codes = [[] for _ in range(models)]
        self._faces, self._lines = [], []
        per_row = int(np.ceil(np.sqrt(min(count, MOST))))
        self._side = min(THUMBNAIL, SPRITE_SIDE // per_row)

    def add(
        self,
        row: int,
        name: str,
        frame: int,
        image: np.ndarray,
        codes: list[np.ndarray],
        decibel: float,
    ) -> None:
        """Takes one image, if it is among those that are shown.

        Args:
            row: of the image, from 0. name, frame: where it came from, printable.
            image: uint8 (H, W, C). codes: `z_mean` (Z,) of each model.
            decibel: PSNR of its reconstruction by the first one.
        """
        if row not in self._chosen:
            return
        for kept, code in zip(self._codes, codes, strict=True):
            kept.append("\t".join(f"{value:.6g}" for value in code))
        size = limit_size(image.shape, self._side)
        self._faces.append(resize_image(image, *size))
        self._lines.append(f"{name}\t{frame}\t{row}\t{decibel:.2f}")

    def write(self, folder: str) -> None:
        """Writes all that the projector reads into a folder.

        Raises:
            VaeError: a file can't be written.
        """
        faces, config = np.stack(self._faces), []
        write_png(
            os.path.join(folder, SPRITE),
            make_grid(faces, int(np.ceil(np.sqrt(len(faces)))), gap=0),
        )
        lines = ["name\tframe\trow\tpsnr", *self._lines]
        _write(folder, METADATA, lines)
        height, width = faces.shape[1:3]
        for name, codes in zip(name_codes(len(self._codes)), self._codes, strict=True):
            _write(folder, name, codes)
            config += [
                "embeddings {",
                f'  tensor_name: "{name.removesuffix(".tsv")}"',
                f'  tensor_path: "{name}"',
                f'  metadata_path: "{METADATA}"',
                "  sprite {",
                f'    image_path: "{SPRITE}"',
                f"    single_image_dim: [{width}, {height}]",
                "  }",
                "}",
            ]
        _write(folder, CONFIG, config)


def _write(folder, name, lines):
    content = "".join(f"{line}\n" for line in lines)
    replace_file(os.path.join(folder, name), content.encode())
