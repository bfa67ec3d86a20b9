"""The drill: people and an attack side by side against an instance on this machine, and who was served."""
