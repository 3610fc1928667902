"""Training of the bundled models, from scratch, on scenes that the project draws itself."""
