"""Streams: who listens to what, and what just happened, told to each listener that it concerns."""
