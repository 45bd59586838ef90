"""Anyone's face to the actor's codes."""
