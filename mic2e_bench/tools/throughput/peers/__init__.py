"""Servers of others that do the same work: clients, what of a comparison is unequal, weights where they find them."""
