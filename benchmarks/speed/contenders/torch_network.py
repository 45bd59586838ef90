"""The original network in PyTorch: what its authors published, layer by layer.

Four convolutions with stride 2 (4x4; 32, 64, 128, 256 channels), a Gaussian code, a
dense layer of 1024 and four transposed convolutions (5x5, 5x5, 6x6, 6x6), batch norm
before each ReLU, Bernoulli likelihood plus KL. It takes 64 x 64 pixels, no others; for
larger ones, up to 128 x 128, it is grown here by one more stage at its widest end: a
convolution of 256 to 256 channels, a transposed one (6x6) of 64 to 64, and a crop.
"""

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

LEARNING_RATE = 1e-3
SIDE = 64  # pixels that four stages are made for
HIDDEN = 1024


def _normalised(layer, channels):
    return nn.Sequential(layer, nn.BatchNorm2d(channels), nn.ReLU())


class Encoder(nn.Module):
    """Images (B, C, side, side), 0..1 -> z_mean, z_log_var (B, Z)."""

    def __init__(self, channels, latent_dim, side):
        super().__init__()
        widths = (channels, 32, 64, 128, 256)
        if side > SIDE:
            widths = (*widths, 256)
        self.convolutions = nn.Sequential(
            *(
                _normalised(nn.Conv2d(before, after, 4, 2, 1), after)
                for before, after in pairwise(widths)
            )
        )
        grid = side // 2 ** (len(widths) - 1)  # rows and columns that are left
        inner = widths[-1] * grid * grid
        self.z_mean = nn.Linear(inner, latent_dim)
        self.z_log_var = nn.Linear(inner, latent_dim)

    def forward(self, images):
        x = self.convolutions(images).flatten(1)
        return self.z_mean(x), self.z_log_var(x)


class Decoder(nn.Module):
    """z (B, Z) -> logits (B, C, side, side)."""

    def __init__(self, channels, latent_dim, side):
        super().__init__()
        self.side = side
        grown = (_normalised(nn.ConvTranspose2d(64, 64, 6, 2), 64),)
        self.dense = nn.Sequential(
            nn.Linear(latent_dim, HIDDEN), nn.BatchNorm1d(HIDDEN), nn.ReLU()
        )
        self.convolutions = nn.Sequential(
            _normalised(nn.ConvTranspose2d(HIDDEN, 128, 5, 2), 128),
            _normalised(nn.ConvTranspose2d(128, 64, 5, 2), 64),
            *(grown if side > SIDE else ()),
            _normalised(nn.ConvTranspose2d(64, 32, 6, 2), 32),
            nn.ConvTranspose2d(32, channels, 6, 2),
        )

    def forward(self, z):
        images = self.convolutions(self.dense(z)[:, :, None, None])
        start = (images.shape[-1] - self.side) // 2
        return images[:, :, start : start + self.side, start : start + self.side]


class Network(nn.Module):
    """Both, with a sample of the code between them."""

    def __init__(self, channels, latent_dim, side):
        super().__init__()
        self.encoder = Encoder(channels, latent_dim, side)
        self.decoder = Decoder(channels, latent_dim, side)

    def forward(self, images):
        """Returns logits, z_mean, z_log_var."""
        z_mean, z_log_var = self.encoder(images)
        z = z_mean + torch.randn_like(z_mean) * torch.exp(0.5 * z_log_var)
        return self.decoder(z), z_mean, z_log_var


def total_loss(network, images):
    """Summed Bernoulli cross-entropy plus KL, nats an image; images (B, C, H, W)."""
    logits, z_mean, z_log_var = network(images)
    reconstruction = functional.binary_cross_entropy_with_logits(
        logits.float(), images, reduction="sum"
    )
    z_mean, z_log_var = z_mean.float(), z_log_var.float()
    kl = 0.5 * torch.sum(z_log_var.exp() + z_mean.square() - 1 - z_log_var)
    return (reconstruction + kl) / len(images)


def to_tensor(faces):
    """Returns uint8 (N, C, H, W) of uint8 (N, H, W, C), as it is kept in memory."""
    return torch.from_numpy(faces).permute(0, 3, 1, 2).contiguous()


def shuffled_batches(faces, batch):
    """Yields float batches (B, C, H, W), 0..1, of epoch after epoch, without end."""
    while True:
        for rows in torch.randperm(len(faces)).split(batch):
            yield faces[rows].float() / 255
