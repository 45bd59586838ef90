"""Pictures to a data file: faces cut out, bad images found."""
