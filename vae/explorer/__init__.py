"""A page to play the actor: what it holds, and its HTML, CSS and JavaScript."""
