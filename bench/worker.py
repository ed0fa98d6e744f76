r"""One process, one cell: the door by which a parent of any revision starts a worker.

It never moves, since a gate starts it by this name inside an older checkout. By hand, with a
specification that a run left in its `logs` folder:

    echo '{"command": "open"}' | python -m bench.worker logs/CELL.json 3>&1
"""

from bench.measure.cell_worker import main

if __name__ == "__main__":
    main()
