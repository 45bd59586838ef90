"""Adam, with one operation a variable.

Keras's own takes some thirty small ones for each, and the networks have many variables:
starting them cost more than what they compute.
"""
import keras
import tensorflow as tf

MOMENTUM, VELOCITY = 0.9, 0.999  # how much of the running moments stays, a step
EPSILON = 1e-7


class Adam:
    """Kingma and Ba 2015 (arXiv 1412.6980), section 2, with the gradient clipped first.

    Args:
        variables: Keras variables, float32.
        clip_norm: the largest norm of all gradients together; longer ones are scaled.

    Attributes:
        variables: the running moments, float32: all of the state.
    """

    def __init__(self, variables, clip_norm):
        self._trained, self._clip_norm = variables, clip_norm
        self._moments = [
            (_zeros(variable, "momentum"), _zeros(variable, "velocity"))
            for variable in variables
        ]

    @property
    def variables(self):
        """The moments, in the order of the variables that are trained."""
        return [moment for pair in self._moments for moment in pair]

    def apply(self, gradients, norm, step, rate):
        """Takes one step.

        Args:
            gradients: one tensor for each variable.
            norm: scalar tensor, the norm of all of them.
            step: scalar tensor, steps taken before this one.
            rate: scalar tensor, the learning rate.
        """
        scale = self._clip_norm / tf.maximum(norm, self._clip_norm)
        power = tf.cast(step + 1, tf.float32)
        momentum_power, velocity_power = MOMENTUM**power, VELOCITY**power
        each = zip(self._trained, self._moments, gradients, strict=True)
        for variable, moments, gradient in each:
            tf.raw_ops.ResourceApplyAdam(
                var=variable.value.handle,
                m=moments[0].value.handle,
                v=moments[1].value.handle,
                beta1_power=momentum_power,
                beta2_power=velocity_power,
                lr=rate,
                beta1=MOMENTUM,
                beta2=VELOCITY,
                epsilon=EPSILON,
                grad=gradient * scale,
            )


def _zeros(variable, kind):
    return keras.Variable(
        tf.zeros(variable.shape), trainable=False, dtype="float32", name=kind
    )
