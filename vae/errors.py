"""The errors a user is expected to meet, each with the exit status it leads to.

A message is one line that begins with the option or path, then says what was found,
what was expected and what to do. Anything that is not a `VaeError` is a bug and keeps
its traceback.
"""


class VaeError(Exception):
    """Work that was begun and could not be finished."""

    exit_status = 1


class RefusedError(VaeError):
    """A request that is refused before any work starts; nothing was written."""

    exit_status = 2


class OtherVersionError(RefusedError):
    """A file that another version of this tool wrote; it is not damaged."""


class StoppedError(VaeError):
    """A signal ended the run: its state is saved, or what was there is as it was."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_status = 128 + signal_number


class ImageError(VaeError):
    """An image can't be read; the message is the reason alone, without the path."""
