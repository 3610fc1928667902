"""Benchmarks of the workbench itself."""
