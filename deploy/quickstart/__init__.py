"""The main job, shown and checked on one machine: `./quickstart` runs this.

Not part of the wheel. It stands on the client library alone; server and agent are
processes of their own, as on a node.
"""
