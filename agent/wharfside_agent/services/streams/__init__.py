"""Bytes of processes to and from the bus: sessions, attach, output, shipped logs."""
