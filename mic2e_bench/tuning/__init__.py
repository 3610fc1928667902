"""Finding the front in a space too large to sweep, with Optuna. Imports no torch."""
