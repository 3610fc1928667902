"""Two sets of records beside each other: what is better, worse, the same or cannot be said. Imports no torch."""
