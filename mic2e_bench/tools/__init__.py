"""One room for each command that is no part of measuring."""
