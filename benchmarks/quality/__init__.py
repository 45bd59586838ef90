"""How good what the tool makes is: strangers, Frey Faces, faces found in photos."""
