"""``python -m mic2e_bench``."""

import sys

from mic2e_bench.cli import main

if __name__ == "__main__":
    sys.exit(main())
