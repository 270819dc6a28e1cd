"""Django's SQLite backend with private database files."""
