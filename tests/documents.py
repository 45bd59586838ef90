"""What README.md and docs/ hold: sections, commands in code blocks, code in text."""

import re
import shlex

from tests.files import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
TOOL = ("python", "vae.py")


def read_section(path, heading=""):
    """Returns the lines of a page below a heading, or all of them."""
    text = path.read_text(encoding="utf-8")
    if heading:
        text = re.split(rf"^#+ {re.escape(heading)}$", text, flags=re.M)[1]
        text = re.split(r"^#", text, maxsplit=1, flags=re.M)[0]
    return text.splitlines()


def read_commands(path, heading=""):
    """Returns the lines of shell in code blocks that run our tool, as lists of words.

    `vae ...` is one as well; `python vae.py` and `vae` themselves are left out.
    """
    found = []
    lines = "\n".join(read_section(path, heading)).replace("\\\n", " ").split("\n")
    for line in lines:
        if line.startswith("    ") and (words := split_command(line)):
            found.append(words)
    return found


def split_command(text):
    """Returns the arguments of a command of ours, or None of another text."""
    try:
        words = shlex.split(text, comments=True)
    except ValueError:  # an apostrophe in prose
        return None
    if tuple(words[:2]) == TOOL:
        return words[2:]
    return words[1:] if words[:1] == ["vae"] else None


def read_spans(path):
    """Yields (heading above, code) of each piece of code within the text."""
    heading = ""
    for line in read_section(path):
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif not line.startswith("    "):
            yield from ((heading, code) for code in re.findall(r"`([^`]+)`", line))
