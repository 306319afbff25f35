"""Studies of the paper's claims: their commands, and the page of their results."""
