"""``python -m mic2e_bench``, and what the command ``mic2e-bench`` starts.

It imports nothing of this package before it can answer Ctrl-C.
"""

import os
import sys


def main() -> int:
    """Run one command; returns its exit code."""
    _open_all()
    try:
        from mic2e_bench import cli

        return cli.main()
    except KeyboardInterrupt:  # while the commands themselves were still being read
        print("\nmic2e-bench: interrupted. The same command goes on where it stopped.", file=sys.stderr)
        return 130


def _open_all() -> None:
    """Give every standard stream that is closed a place: the next file that is opened would else be taken for it."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it gets the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.dup(number), "w" if number else "r"))


if __name__ == "__main__":
    sys.exit(main())
