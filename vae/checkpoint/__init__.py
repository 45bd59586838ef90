"""Checkpoint I/O: what is saved, whole or not at all, and verified when read."""
