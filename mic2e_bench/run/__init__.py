"""Trials to records: the harness."""
