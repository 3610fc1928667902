"""What holds for all tests: nothing is downloaded, and results go nowhere but where a test says."""

import os
import signal

# a shell has what it starts in the background ignore Ctrl-C, and what the tests start would inherit that
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

os.environ["HF_HUB_OFFLINE"] = "1"  # read on import, and inherited by every worker
