"""For the fork server, which is told modules and no calls: importing this ties the process (see ``tied``)."""

from mic2e_bench.machine import tied

tied.tie()
