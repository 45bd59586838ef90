"""Tests, in the folders of `vae`; helpers that they share are in modules here."""
