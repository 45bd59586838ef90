"""What each command refuses before TensorFlow starts and anything is written.

A module's `check(args)` turns argparse's namespace into a request for the command of
the same name in `vae.commands`.
"""
