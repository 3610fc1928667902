"""`run --budget`: what fits into the time that is left."""
