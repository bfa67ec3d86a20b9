"""Connect workers and commands to the watch role: a UNIX socket in the data directory."""
