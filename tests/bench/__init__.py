"""``build.py bench``: how long the engine takes, beside the plain loop and beside what the machine could do.

requests  names on the command line → what to measure     machine  processor, its load by others, memory
row       one request → one row, in a process of its own  result   a row, its comparison of codes, as JSON
sizes     networks of the official sizes, made sound      plain    the original's loop, the yardstick
floor     multiply-adds and bytes → the least time        rates    what this machine computes and moves
table     rows → text                                     plot     rows → time against length
batch_row  many clips by the batch command, beside the engine alone
hotspots  where the loop's time goes
"""
