"""YAML to trials, and every message about what a person wrote."""
