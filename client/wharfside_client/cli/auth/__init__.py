"""`wharfside auth`: keys and rights on the bus, and the servers' configurations made of them."""
