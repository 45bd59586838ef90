"""Stand-ins for actors whom strangers are turned into."""

from vae.images.pixels import measure_pixels


class Stranger:
    """As an actor whose features are where the stranger's are."""

    def __init__(self, images):
        self.average, self.variation = measure_pixels(images)
