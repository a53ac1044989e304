"""Who may do what on the bus: keys, users, server configurations and certificates.

Offline but for `push.py`: all of it works on a folder of the operator's own.
"""
