"""Containers between two nodes, with only the bus between them."""
