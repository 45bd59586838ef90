"""`explore`: a page in which a person plays the actor's face."""

import argparse
import os

from vae.checkpoint.model_files import open_model
from vae.explorer.content import gather_content
from vae.explorer.page import write_page
from vae.files import printable, refuse_output, replace_file
from vae.strangers.alignment import LoadedActor
from vae.terminal import tell


def run(args: argparse.Namespace) -> int:
    """Writes the page, says what is in it, and returns the exit status.

    Raises:
        RefusedError: something in the request can't work.
        VaeError: the model is damaged, or the page can't be written.
    """
    refuse_output("output", args.output, ".html", [args.input], args.overwrite)
    files = open_model(args.input, {}, tell)
    actor = LoadedActor(files)
    title = printable(os.path.basename(os.path.realpath(args.input)))
    content = gather_content(
        title, files.config, actor.network, actor.statistics, not args.no_film
    )
    page = write_page(content.values)
    replace_file(args.output, page)
    print(f"{printable(args.output)}: {len(page) / 1e6:.1f} MB")
    sliders = ", ".join(content.sliders).lower() or "none, for the codes tell nothing"
    print(f"sliders: {sliders}")
    held = "the decoder"
    if content.frames:
        held += f", and codes of {content.frames} frames of the film, which it decodes"
    tell(f"the page holds the actor: {held}; whoever has the file has the face")
    return 0
