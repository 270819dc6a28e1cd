"""Settings, URLs, the ASGI application, environment variables and system checks."""
