"""The socket: the HTTP protocol class, deadlines, and the hot-page cache."""
