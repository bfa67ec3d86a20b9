"""Streams: listeners, their subscriptions, and the delivery of each event to those it concerns."""
