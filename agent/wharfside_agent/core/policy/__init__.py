"""What the node allows, as records and pure functions: rules, what is asked, and the verdict.

`asked` makes one record of what a container would get, whichever form asked for it; the tables in
`container_rules`, `process_rules` and `limit_rules` are what it is held against. Nothing here does
any I/O, and nothing here widens: a rule that is not met denies, and a field that no rule knows is
denied, too.
"""
