"""`top`: the whole fleet as a live table.

`figures` and `board` are pure: samples and a state in, rows out, sorted and filtered.
`feed` alone does I/O; `view` and `table` draw (textual, the extra `top`), `plain` prints.
"""
