"""The page: one HTML file made of the files in `web/`, which browsers run as they are.

Modules are joined in order, each in a function of its own, into one script for the page
and one for its workers. A policy in the page allows the script and the style by their
hashes, workers from the page itself, and no address to load anything from.
"""

import base64
import hashlib
import html
import json
import re
from importlib.resources import files
from typing import Any

WORKER = ("arrays", "resample", "decoder", "reader", "worker")
MAIN = (
    "arrays",
    "resample",
    "dom",
    "engine",
    "pose",
    "face",
    "sliders",
    "variations",
) + ("film", "keys", "presets", "saving", "crops", "app")
_IMPORT = re.compile(r'^import (\{[^}]*\}) from "\./(\w+)\.js";$', re.MULTILINE)
_EXPORT = re.compile(
    r"^export ((?:async )?(?:function|class|const) (\w+))", re.MULTILINE
)
_PLACE = re.compile(r"\{\{(\w+)\}\}")


def write_page(content: dict[str, Any]) -> bytes:
    """Returns the bytes of a page that shows a model.

    Args:
        content: what JSON holds of it, see `content.Content`.
    """
    main, worker, style = join_modules(MAIN), join_modules(WORKER), _read("page.css")
    parts = {
        "policy": _policy(main, style),
        "title": html.escape(content["title"]),
        "style": style,
        "worker": worker,
        "model": _escape(json.dumps(content, separators=(",", ":"), allow_nan=False)),
        "main": main,
    }
    return _PLACE.sub(lambda place: parts[place[1]], _read("page.html")).encode()


def join_modules(names: tuple[str, ...]) -> str:
    """Returns ES modules of `web/` as one script; what others import comes first."""
    return "\nconst modules = {};\n" + "".join(map(_wrap, names))


def _wrap(name):
    """Returns a module as a function that is called: imports in, exports out."""
    text = _IMPORT.sub(r"const \1 = modules.\2;", _read(f"{name}.js"))
    exports = ", ".join(found[2] for found in _EXPORT.finditer(text))
    body = _EXPORT.sub(r"\1", text)
    return f"modules.{name} = (() => {{\n{body}return {{ {exports} }};\n}})();\n"


def _read(name):
    return files("vae.explorer").joinpath("web", name).read_text(encoding="utf-8")


def _escape(text):
    """JSON that no HTML parser mistakes for the end of its element."""
    return text.replace("<", "\\u003c")


def _policy(script, style):
    hashes = {
        kind: base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for kind, text in (("script", script), ("style", style))
    }
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'sha256-{hashes['script']}'",
            f"style-src 'sha256-{hashes['style']}'",
            "worker-src blob:",
            "img-src blob: data:",
            "media-src blob:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
