"""The work of each command: `run(request)` returns the exit status."""
