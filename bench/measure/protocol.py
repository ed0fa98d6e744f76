"""The number of what a parent and a worker say to each other; `bench.measure.wire` has the rest."""

#: Workers of before it was counted understand 1, and do not know the question for it.
PROTOCOL = 4
