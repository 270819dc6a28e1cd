"""Views, one module or package per page."""
