"""Queries: tables, the database, and one file of queries per subject. The only place with SQL."""
