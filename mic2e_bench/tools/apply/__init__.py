"""`mic2e_bench.apply`: a preset on a pipeline that a service has loaded."""
