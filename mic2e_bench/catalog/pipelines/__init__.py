"""One file for each real pipeline."""
