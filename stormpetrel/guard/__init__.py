"""The guard: a small root process that drops the packets of the sources that the watch lists, in the kernel."""
