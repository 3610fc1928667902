"""Choosing a setting: what is best under limits, what is on the front, and how to find it. Imports no torch."""
