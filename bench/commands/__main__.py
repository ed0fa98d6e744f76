"""Makes `python -m rtfbench.commands` the same as `rtfbench`."""

from rtfbench.commands import main

main()
