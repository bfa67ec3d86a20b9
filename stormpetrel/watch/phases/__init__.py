"""What an attack consists of: cohorts of requests, changes, named means, crowd or attack. Pure functions."""
