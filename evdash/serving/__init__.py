"""The web server: bounded work in several processes behind one port."""
