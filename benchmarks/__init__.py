"""Measurements: `speed` beside peers, `quality` of pictures, `faults` survived."""
