"""How workers and commands reach the watch role: a UNIX socket in the data directory."""
