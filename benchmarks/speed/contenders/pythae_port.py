"""Training pace of pythae's own trainer with the original network."""

import json
import tempfile

import torch
from clock import StepClock
from dataset import read_faces
from options import parse_options
from pythae.data.datasets import BaseDataset
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from pythae.trainers.training_callbacks import TrainingCallback
from torch_network import LEARNING_RATE, SIDE, Decoder, Encoder, to_tensor

ENDLESS = 10**6  # epochs


class PythaeEncoder(BaseEncoder):
    """The encoder in the form that pythae asks for."""

    def __init__(self, channels, latent_dim):
        BaseEncoder.__init__(self)
        self.network = Encoder(channels, latent_dim, SIDE)

    def forward(self, x):
        z_mean, z_log_var = self.network(x)
        return ModelOutput(embedding=z_mean, log_covariance=z_log_var)


class PythaeDecoder(BaseDecoder):
    """The decoder in the form that pythae asks for."""

    def __init__(self, channels, latent_dim):
        BaseDecoder.__init__(self)
        self.network = Decoder(channels, latent_dim, SIDE)

    def forward(self, z):
        return ModelOutput(reconstruction=torch.sigmoid(self.network(z)))


class MeasuredEnough(Exception):
    """Ends the trainer's loop."""


class ClockCallback(TrainingCallback):
    """Counts the trainer's steps."""

    def __init__(self, clock, batch):
        self._clock, self._batch = clock, batch

    def on_train_step_end(self, training_config, **kwargs):
        if self._clock.tick(self._batch):
            raise MeasuredEnough


def train(faces, options):
    """Returns the figures; faces uint8 (N, C, H, W)."""
    channels, latent_dim = faces.shape[1], options.latent_dim
    config = VAEConfig(
        input_dim=tuple(faces.shape[1:]),
        latent_dim=latent_dim,
        reconstruction_loss="bce",
    )
    encoder = PythaeEncoder(channels, latent_dim)
    model = VAE(config, encoder=encoder, decoder=PythaeDecoder(channels, latent_dim))
    dataset = BaseDataset(faces.float() / 255, torch.zeros(len(faces)))
    clock = StepClock(options.warmup, options.seconds)
    with tempfile.TemporaryDirectory() as folder:
        training = BaseTrainerConfig(
            output_dir=folder,
            per_device_train_batch_size=options.batch,
            learning_rate=LEARNING_RATE,
            num_epochs=ENDLESS,
            no_cuda=True,
        )
        callbacks = [ClockCallback(clock, options.batch)]
        trainer = BaseTrainer(
            model, dataset, training_config=training, callbacks=callbacks
        )
        try:
            trainer.train()
        except MeasuredEnough:
            return clock.figures()


def main():
    """Prints the figures as one JSON line."""
    options = parse_options()
    faces = to_tensor(read_faces(options.file, options.batch))
    print(json.dumps(train(faces, options)))


if __name__ == "__main__":
    main()
