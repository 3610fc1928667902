"""What holds for all tests: nothing is downloaded, and results go nowhere but where a test says."""

import os
import signal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell has what it starts in the background ignore Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)  # and what the tests start inherits that
os.environ["HF_HUB_OFFLINE"] = "1"  # read on import, and inherited by every worker
