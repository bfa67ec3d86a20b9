"""What every role's process needs: supervision, listening sockets, health, logs, the secret, and CPU work."""
