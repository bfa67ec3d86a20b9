"""The drill: people and an attack side by side against a local instance, measuring who is served."""
