"""A synthetic community, for benchmarks, drills and tests at scale."""
