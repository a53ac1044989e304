"""Pure and synchronous: tables, parsers, decisions. No I/O, no clock, no loop."""
