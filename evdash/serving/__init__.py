"""The web server: several processes behind one port, each with a bounded number of requests at once."""
