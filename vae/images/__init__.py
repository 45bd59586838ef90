"""Image files and pixels."""
