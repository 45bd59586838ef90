"""Convolutions of small images as matrix products, in numpy.

Maps are (H, W, B, C) here, the images of a batch beside each other, so that a shift in
space moves long stretches of memory. A 3x3 convolution is done in tiles of 4x4 by
Winograd's minimal filtering F(4x4, 3x3): a quarter of the multiplications (Lavin and
Gray 2015, arXiv 1509.09308), and errors of some 1e-6 of the largest value.
"""
import numpy as np

TILE, WINDOW = 4, 6  # pixels a side that are computed together, and from how many
INPUT = np.array(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
    np.float32,
)
KERNEL = np.array(
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ]
)
OUTPUT = np.array(
    [
        [1, 1, 1, 1, 1, 0],
        [0, 1, -1, 2, -2, 0],
        [0, 1, 1, 4, 4, 0],
        [0, 1, -1, 8, -8, 1],
    ],
    np.float32,
)


def transform_kernel(kernel):
    """Returns a kernel (3, 3, C, K) as `convolve` takes it, (36, C, K)."""
    turned = np.kron(KERNEL, KERNEL) @ kernel.reshape(9, -1)  # (36, C * K)
    return turned.reshape(-1, *kernel.shape[2:]).astype(np.float32)


def convolve(x, kernel, bias, relu=False):
    """A 3x3 convolution that keeps the size, with zeros around.

    Both passes down and across read overlapping tiles where they lie and write them
    where the next step wants them: copies would take as long as the products.

    Args:
        x: float32 (H, W, B, C).
        kernel: (36, C, K), of `transform_kernel`. bias: (K,).
        relu: take what is below zero in `x` as zero.

    Returns:
        float32 (H, W, B, K)
    """
    rows, columns, count, channels = x.shape
    down, across = -(-rows // TILE), -(-columns // TILE)
    height, width = down * TILE, across * TILE
    padded = np.zeros((height + 2, (width + 2) * count * channels), np.float32)
    inner = padded.reshape(height + 2, width + 2, count, channels)
    np.maximum(x, 0 if relu else -np.inf, out=inner[1 : rows + 1, 1 : columns + 1])
    lines = INPUT @ _overlap(padded, down)  # (h, 6, W * B * C)
    lines = lines.reshape(down, WINDOW, width + 2, -1)
    tiles = np.empty((WINDOW, WINDOW, down, across, count * channels), np.float32)
    np.matmul(INPUT, _overlap(lines, across), out=tiles.transpose(2, 0, 3, 1, 4))
    products = tiles.reshape(WINDOW**2, -1, channels) @ kernel  # (36, h*w*B, K)
    lines = OUTPUT @ products.reshape(WINDOW, -1)
    lines = lines.reshape(TILE, WINDOW, down, across, -1).transpose(0, 2, 3, 1, 4)
    y = np.empty((down, TILE, across, TILE, lines.shape[-1]), np.float32)
    np.matmul(OUTPUT, lines, out=y.swapaxes(0, 1))
    y = y.reshape(height, width, count, -1)
    y += bias
    return y[:rows, :columns]


def _overlap(x, count):
    """Views (..., N, L) as `count` windows, TILE apart: (..., count, 6, L)."""
    *outer, step, item = x.strides
    shape = *x.shape[:-2], count, WINDOW, x.shape[-1]
    return np.ndarray(shape, x.dtype, x, strides=(*outer, TILE * step, step, item))


def project(x, kernel, bias):
    """A 1x1 convolution: (H, W, B, C) to (H, W, B, K)."""
    y = x.reshape(-1, x.shape[-1]) @ kernel.reshape(x.shape[-1], -1)
    y += bias
    return y.reshape(*x.shape[:-1], -1)


def fold_images(images, size):
    """Space to depth of images: (B, H, W, C) to maps (H/n, W/n, B, n*n*C)."""
    count, rows, columns, channels = images.shape
    across = columns // size
    x = images.reshape(count, rows // size, size, across, size * channels)
    return x.transpose(1, 3, 0, 2, 4).reshape(rows // size, across, count, -1)


def unfold_images(x, size):
    """Depth to space of maps: (H, W, B, n*n*C) to images (B, H*n, W*n, C)."""
    rows, columns, count, depth = x.shape
    x = x.reshape(rows, columns, count, size, depth // size).transpose(2, 0, 3, 1, 4)
    return x.reshape(count, rows * size, columns * size, -1)


def fold(x, size):
    """Space to depth: (H, W, B, C) to (H/n, W/n, B, n*n*C)."""
    rows, columns, count, channels = x.shape
    x = x.reshape(rows // size, size, columns // size, size, count, channels)
    x = x.transpose(0, 2, 4, 1, 3, 5)
    return x.reshape(rows // size, columns // size, count, -1)


def unfold(x, size):
    """Depth to space: (H, W, B, n*n*C) to (H*n, W*n, B, C)."""
    rows, columns, count, _ = x.shape
    x = x.reshape(rows, columns, count, size, size, -1).transpose(0, 3, 1, 4, 2, 5)
    return x.reshape(rows * size, columns * size, count, -1)
