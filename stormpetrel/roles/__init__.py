"""What each process runs: the web worker, the sms role, and the command that serves all roles."""
