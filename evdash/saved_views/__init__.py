"""Saved views: names that people give to the address of a list, private or shared with all users."""
