"""`reproduce`: a stored record is measured once more, and the two are put beside each other."""
