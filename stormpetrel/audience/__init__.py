"""Count unique visitors without storing who they are: sketches, periods, and the classes of requests."""
