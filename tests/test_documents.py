"""README.md, CONTRIBUTING.md and docs/ say what the command line takes, and link to
what is there."""

import re

import pytest

from tests.documents import (
    PAGES,
    read_commands,
    read_section,
    read_spans,
    split_command,
)
from tests.files import ROOT
from vae.cli import build_parser

COMMANDS = build_parser()._subparsers._group_actions[0].choices
OPTIONS = {
    name: {text: action for action in parser._actions for text in action.option_strings}
    for name, parser in COMMANDS.items()
}
FOREIGN = {"--peers", "--set", "--logdir"}  # of benchmarks, and of TensorBoard
by_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)


def parse(words):
    """Parses a command line of the tool; fails if it can't be."""
    try:
        build_parser().parse_args(words)
    except SystemExit as stop:
        assert stop.code == 0, words


@by_page
def test_every_command_in_a_block_parses(page):
    commands = read_commands(page)
    assert commands or page.name not in ("README.md", "commands.md")
    for words in commands:
        parse(words)


@by_page
def test_every_command_in_the_text_parses(page):
    for _, code in read_spans(page):
        words = split_command(code)
        if words and words[0] in COMMANDS and len(words) > 2:
            parse(words)


@by_page
def test_every_option_in_the_text_is_one_of_the_command(page):
    """Below the heading of a command it is that command's, or it names its own."""
    for heading, code in read_spans(page):
        words = code.split()
        own = words[0] if words[0] in COMMANDS else heading
        known = OPTIONS.get(own) or {n for each in OPTIONS.values() for n in each}
        if words[0].startswith("--") or words[0] in COMMANDS:
            options = [word.partition("=")[0] for word in words]
            options = [name for name in options if re.fullmatch("--[a-z].*", name)]
            assert set(options) <= {*known, *FOREIGN}, f"{heading}: {code}"


def test_a_default_in_a_table_is_the_one_of_the_command():
    page, shown = ROOT / "docs" / "commands.md", 0
    for name, options in OPTIONS.items():
        rows = [row for row in read_section(page, name) if row.startswith("| `--")]
        for option, value in re.findall(
            r"`(--\S+) ([^`]+)`", "".join(row.split(" | ")[0] for row in rows)
        ):
            default = re.search(r"\(default: (.+)\)$", options[option].help)[1]
            if value.isupper() or default in ("none", "off") or value in ("FROM TO",):
                continue  # no value but what stands for one
            shown += 1
            try:
                assert float(value) == float(default), option
            except ValueError:
                assert value == default, option
    assert shown > 15


@by_page
def test_every_link_leads_somewhere(page):
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"", text)
    for link in ("".join(pair) for pair in links):
        if link.startswith("https:"):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        if anchor:
            headings = re.findall("^#+ (.+)$", target.read_text(), re.M)
            assert anchor in [heading.lower().replace(" ", "-") for heading in headings]


def test_the_readme_is_short():
    assert len(read_section(ROOT / "README.md")) <= 150
