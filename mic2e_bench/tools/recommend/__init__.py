"""`recommend`: what to set under limits."""
