"""A child process that says it is done, then waits: what a paused worker looks like."""

import argparse
import os
import time

from rtfbench.base.child import die_with_parent
from rtfbench.measure.messages import Done

parser = argparse.ArgumentParser()
parser.add_argument("spec")
parser.add_argument("--answer-fd", type=int)
arguments = parser.parse_args()
die_with_parent()
os.write(arguments.answer_fd, (Done().model_dump_json() + "\n").encode())
time.sleep(60)
