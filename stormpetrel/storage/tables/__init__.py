"""All tables, one file per subject. Times are milliseconds since 1970; ids are snowflakes (model/ids.py)."""
