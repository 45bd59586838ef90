"""What the tool survives: kills, damaged files, files that ask for a lot."""
