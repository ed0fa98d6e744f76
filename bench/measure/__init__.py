"""Measuring: the plan, who takes turns when, and the processes that are measured.

Here is only the number of what a parent and a worker say to each other: the door reads it before it
loads anything else. `rtfbench.measure.workers` has the fields that
came with each.
"""

#: With 5 the package became `rtfbench`, with 6 a cell has a device, with 7 a rate, with 8 a model
#: says what it is fed, with 9 a cell has a load, and with 10 a record says how long others had the
#: core.
PROTOCOL = 10
#: The oldest workers that can be compared with.
OLDEST = 4
