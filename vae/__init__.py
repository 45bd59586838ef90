"""Learn one actor's face expressions; turn anyone's face into that actor."""

import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vae.strangers.alignment import LoadedActor

__version__ = "1.0.0"


def load(folder: str) -> "LoadedActor":
    """Returns the actor of a model directory, for use from Python, without TensorFlow.

    A model whose training has not ended gives a `UserWarning`.

    Raises:
        VaeError: it is no model directory, or it is damaged.
    """
    # Imported late: whoever wants the version alone should not wait.
    from vae.checkpoint.model_files import open_model
    from vae.strangers.alignment import LoadedActor

    return LoadedActor(open_model(folder, {}, warnings.warn))
