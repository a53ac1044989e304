"""What orchestrators and agents agree on: names, subjects, records, errors, bytes.

This room is pure. Nothing in it opens a file, a socket or a clock; both sides
import it and it imports neither.
"""

__version__ = "0.1.0"

PROTOCOL_VERSION = 1
