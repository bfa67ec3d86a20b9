"""All tables, one file per noun. Times are milliseconds since 1970; ids are snowflakes (model/ids.py)."""
