"""Faults that tests inject: calls that fail, damaged files, code that must not run."""

import errno
import os
import shutil

MANY = 40  # more calls than one save makes
OPEN = open


class Killed(BaseException):
    """Stands for the end of the process: nothing after it reaches the disk."""


class Faults:
    """Counts the calls that change the disk; one fails, or all from that one on."""

    def __init__(self, patch, fatal_call, kill):
        self.calls, self.fatal_call, self.kill = 0, fatal_call, kill
        names = ("fsync", "rename", "replace", "makedirs", "unlink")
        for module, name in [*((os, name) for name in names), (shutil, "rmtree")]:
            patch.setattr(module, name, self.wrap(getattr(module, name)))
        patch.setattr("builtins.open", self.open_file)

    def strike(self):
        """Counts one call; raises when it is the one."""
        self.calls += 1
        late = self.kill and self.calls > self.fatal_call
        if late or self.calls == self.fatal_call:
            raise Killed if self.kill else OSError(errno.ENOSPC, "No space left")

    def wrap(self, function):
        """Returns a function that may fail before it does anything."""

        def call(*arguments, **settings):
            self.strike()
            return function(*arguments, **settings)

        return call

    def open_file(self, path, mode="r", *arguments, **settings):
        """Opens a file; one to be written may fail, and so may its first half."""
        if not set(mode) & set("wxa"):
            return OPEN(path, mode, *arguments, **settings)
        self.strike()
        file = OPEN(path, mode, *arguments, **settings)
        write = file.write

        def write_parts(content):
            write(content[: len(content) // 2])
            file.flush()
            self.strike()
            write(content[len(content) // 2 :])

        return Wrapped(file, write_parts)


class Wrapped:
    """A file with another `write`."""

    def __init__(self, file, write):
        self.file, self.write = file, write

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.file.close()

    def __getattr__(self, name):
        return getattr(self.file, name)


def flip(path):
    """Changes one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path):
    """Takes the last byte off a file."""
    os.truncate(path, path.stat().st_size - 1)


def empty(path):
    """Leaves a file without content."""
    os.truncate(path, 0)


DAMAGES = {"flip": flip, "cut": cut, "missing": os.unlink, "empty": empty}


class Code:
    """Leaves a mark when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("executed",)
