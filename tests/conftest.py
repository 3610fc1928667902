"""What holds for all tests: nothing is downloaded, and results go nowhere but where a test says."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # read on import, and inherited by every worker
