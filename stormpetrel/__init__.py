"""Stormpetrel: a microblogging server that keeps its people talking while it is under attack."""

__version__ = "0.1.0"
