"""Stand-ins for actors whom strangers are turned into."""
from vae.strangers.alignment import measure


class Stranger:
    """As an actor whose features are where the stranger's are."""

    def __init__(self, images):
        self.average, self.variation = measure(images)
