"""Records that travel: packed into a few files where they are measured, joined and verified where they are kept."""
