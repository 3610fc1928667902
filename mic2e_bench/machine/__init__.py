"""What the hardware is and does: facts, probes, conditions, the environment of a record."""
