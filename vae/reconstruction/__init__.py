"""Pictures and films of anyone into pictures and films of the actor."""
