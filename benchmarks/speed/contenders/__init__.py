"""Programs that take turns, each a process that prints its figures as one JSON line."""
