"""What can be changed about a benchmark: fields of its own frozen dataclass."""

from dataclasses import field, replace


def setting(default, text):
    """A dataclass field with a default and a line of help."""
    return field(default=default, metadata={"help": text})


def read_settings(settings, changes):
    """Returns the settings of each benchmark, changed as asked.

    Args:
        settings: name of a benchmark -> its settings.
        changes: list of "NAME=VALUE"; a tuple's parts are separated by commas.

    Raises:
        ValueError: a change fits none of the benchmarks, or isn't of the right type.
    """
    settings = dict(settings)
    for change in changes:
        key, sign, text = change.partition("=")
        fitting = [name for name in settings if hasattr(settings[name], key)]
        if not sign or not fitting:
            names = ", ".join(settings)
            raise ValueError(f"{change!r} found, a setting of {names} expected")
        for name in fitting:
            value = _convert(text, getattr(settings[name], key))
            settings[name] = replace(settings[name], **{key: value})
    return settings


def _convert(text, default):
    if isinstance(default, tuple):
        return tuple(type(default[0])(part) for part in text.split(","))
    return type(default)(text)


def show(value):
    """Returns a setting as it is written on the command line."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else value
