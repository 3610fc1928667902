"""The version, for the package, its metadata, and what it writes: a copy that was not installed has it, too."""

VERSION = "0.1.0"
