"""`export`: settings as plain library code."""
