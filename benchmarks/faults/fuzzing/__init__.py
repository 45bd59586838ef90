"""Damaged files by the thousand, and what the readers of this tool make of them."""
