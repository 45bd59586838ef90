"""Learn one actor's face expressions; turn anyone's face into that actor."""

__version__ = "1.0.0"
