"""The kinds of throughput studies, one a file: what it asks for, how it is measured, and what it answers."""
