"""What several toggles call: kernels, quantised layers, compilers, engines."""
