"""How this repository's own things are made and proved."""
