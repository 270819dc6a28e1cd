"""The processes that `manage.py up` starts and stops, and where it finds them."""
