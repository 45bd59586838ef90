"""The network: its layers, in Keras to be trained and in numpy to be used."""
