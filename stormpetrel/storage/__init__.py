"""Queries: tables, the database, and one file of queries per noun. The only place that holds SQL."""
