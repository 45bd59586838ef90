"""How fast the tool is, beside its peers, on this machine; see `run.py -h`."""
