"""The parts of an attack: cohorts of requests, changes, named means, crowd or attack. Pure functions."""
