"""The processes that `manage.py up` starts and stops, and the addresses at which evdash finds them."""
