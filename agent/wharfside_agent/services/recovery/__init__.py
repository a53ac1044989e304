"""What is made good: the first look of a new life, work left unfinished, the periodic relist."""
