"""Makes every part of the agent and ties them together; runs none of them.

Each file is a floor that stands on the one below: foundation, lives, telling, moves, parts.
"""
