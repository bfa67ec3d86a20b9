"""Decide which requests are served first: pure functions and bounded tables, time as an argument, no I/O."""
