"""Checkpoint images on the node's disk: whole, digested and under their name, or not there."""
