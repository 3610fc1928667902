"""``python -m mic2e_bench``, and what the command ``mic2e-bench`` starts.

It imports nothing of this package before it can answer Ctrl-C.
"""

import sys


def main() -> int:
    """Run one command; returns its exit code."""
    try:
        from mic2e_bench import cli

        return cli.main()
    except KeyboardInterrupt:  # while the commands themselves were still being read
        print("\nmic2e-bench: interrupted. The same command goes on where it stopped.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
