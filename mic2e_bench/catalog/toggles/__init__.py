"""One file for each optimisation."""
