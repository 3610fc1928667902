"""For the fork server, which is told modules and no calls: importing this ties the process (see ``tied``)."""

import os

from mic2e_bench.machine import tied

PARENT = "MIC2E_BENCH_FORK_SERVER_OF"  # the variable with the id of the process that starts it

tied.tie(int(os.environ.pop(PARENT)))
