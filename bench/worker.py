r"""One process, one cell: the door by which a parent of any revision starts a worker.

It never moves: a gate starts it by this name inside an older or a newer checkout, and asks it with
`--protocol` which specifications it understands (`rtfbench.measure` says what came when).
Revisions before protocol 5 start it as `bench.worker`, so the question is answered under any name.
By hand, with a specification that a run left in its `logs` folder:

    echo '{"command": "open"}' | python -m rtfbench.worker logs/CELL.json 3>&1
"""

import gc
import sys

from .measure import PROTOCOL


def main() -> None:
    """Say the protocol's number, or measure a cell."""
    if sys.argv[1:] == ["--protocol"]:
        print(PROTOCOL)
        return
    gc.disable()  # what is loaded stays: looking for what does not takes a tenth of a start
    from rtfbench.measure.serve import main as measure

    gc.freeze()
    gc.enable()
    measure()


if __name__ == "__main__":
    main()
