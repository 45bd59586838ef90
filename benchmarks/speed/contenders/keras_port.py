"""Training pace of the original network in Keras: `fit` with a `train_step` of its own,
the way Keras teaches a VAE to its users."""

import json

import keras
import tensorflow as tf
from clock import StepClock
from dataset import read_faces
from keras import layers, ops
from options import parse_options

ENDLESS = 10**6  # epochs
LEARNING_RATE = 1e-3
HIDDEN = 1024


def _normalised(x):
    return layers.ReLU()(layers.BatchNormalization()(x))


def build_encoder(shape, latent_dim):
    """Images (B, 64, 64, C) -> z_mean, z_log_var (B, Z)."""
    images = x = keras.Input(shape)
    for channels in (32, 64, 128, 256):
        x = _normalised(layers.Conv2D(channels, 4, strides=2, padding="same")(x))
    x = layers.Flatten()(x)
    return keras.Model(images, [layers.Dense(latent_dim)(x) for _ in range(2)])


def build_decoder(channels, latent_dim):
    """z (B, Z) -> images (B, 64, 64, C), 0..1."""
    z = keras.Input((latent_dim,))
    x = layers.Reshape((1, 1, HIDDEN))(_normalised(layers.Dense(HIDDEN)(z)))
    for width, kernel in ((128, 5), (64, 5), (32, 6)):
        x = _normalised(layers.Conv2DTranspose(width, kernel, strides=2)(x))
    x = layers.Conv2DTranspose(channels, 6, strides=2, activation="sigmoid")(x)
    return keras.Model(z, x)


class KerasVAE(keras.Model):
    """Encoder, decoder and what one step does."""

    def __init__(self, shape, latent_dim):
        super().__init__()
        self.encoder = build_encoder(shape, latent_dim)
        self.decoder = build_decoder(shape[-1], latent_dim)
        self.noise = keras.random.SeedGenerator()
        self.trackers = [keras.metrics.Mean(name=name) for name in ("loss", "kl")]

    @property
    def metrics(self):
        """What `fit` resets at each epoch."""
        return self.trackers

    def train_step(self, images):
        """One step; images (B, H, W, C), 0..1."""
        with tf.GradientTape() as tape:
            z_mean, z_log_var = self.encoder(images, training=True)
            noise = keras.random.normal(ops.shape(z_mean), seed=self.noise)
            outputs = self.decoder(
                z_mean + ops.exp(0.5 * z_log_var) * noise, training=True
            )
            cross_entropy = keras.losses.binary_crossentropy(images, outputs)
            reconstruction = ops.sum(cross_entropy, axis=(1, 2)) * images.shape[-1]
            terms = ops.exp(z_log_var) + ops.square(z_mean) - 1 - z_log_var
            kl = 0.5 * ops.sum(terms, axis=1)
            loss = ops.mean(reconstruction + kl)
        weights = self.trainable_weights
        gradients = tape.gradient(loss, weights)
        self.optimizer.apply_gradients(zip(gradients, weights, strict=True))
        for tracker, value in zip(self.trackers, (loss, ops.mean(kl)), strict=True):
            tracker.update_state(value)
        return {tracker.name: tracker.result() for tracker in self.trackers}


class ClockCallback(keras.callbacks.Callback):
    """Counts the steps of `fit` and stops it."""

    def __init__(self, clock, batch):
        super().__init__()
        self._clock, self._batch = clock, batch

    def on_train_batch_end(self, batch, logs=None):
        if self._clock.tick(self._batch):
            self.model.stop_training = True


def main():
    """Prints the figures as one JSON line."""
    options = parse_options()
    faces = read_faces(options.file, options.batch).astype("float32") / 255
    model = KerasVAE(faces.shape[1:], options.latent_dim)
    model.compile(optimizer=keras.optimizers.Adam(LEARNING_RATE))
    clock = StepClock(options.warmup, options.seconds)
    model.fit(
        faces,
        batch_size=options.batch,
        epochs=ENDLESS,
        verbose=0,
        callbacks=[ClockCallback(clock, options.batch)],
    )
    print(json.dumps(clock.figures()))


if __name__ == "__main__":
    main()
