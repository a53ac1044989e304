"""One op a file; registry.py is the one table of them."""
