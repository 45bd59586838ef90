"""The HDF5 loader, and where images come from."""
