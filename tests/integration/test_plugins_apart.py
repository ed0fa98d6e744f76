"""A plug-in that cannot be imported, in whatever way, costs its own row and nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PLUGINS = """
import os, sys, time
from rtfbench.engines.null import NullEngine
from rtfbench.engines.protocol import Availability

class Missing(NullEngine):
    def probe(self):
        return Availability(False, reason="no runtime; pip install it")

class Shadow(NullEngine):
    pass

class Sulks(NullEngine):
    @property
    def precisions(self):
        raise RuntimeError("no precisions\\ntoday")
"""
FOLDER = {
    "good.py": PLUGINS,
    "exits.py": "raise SystemExit(0)",
    "ends.py": "import os\nos._exit(0)",
    "hangs.py": "import time\nprint('vetted:hangs-not')\ntime.sleep(3607)",
    "raises.py": "raise BaseException('not\\na word')",
}
ENTRIES = """
[rtfbench.engines]
onnxruntime = good:Shadow
good = good:Shadow
sulks = good:Sulks
exits = exits:Engine
ends = ends:Engine
hangs = hangs:Engine
raises = raises:Engine
zz-good = good:Shadow
missing = good:Missing
absent = of_this_name_there_is_nothing:Engine
"""


@pytest.fixture
def plugins(tmp_path: Path) -> dict[str, str]:
    """Return an environment in which plug-ins of every kind are installed."""
    for name, text in FOLDER.items():
        (tmp_path / name).write_text(text)
    told = tmp_path / "plugins-1.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: plugins\nVersion: 1.0\n")
    (told / "entry_points.txt").write_text(ENTRIES)
    return {**os.environ, "PYTHONPATH": str(tmp_path), "COLUMNS": "300"}


def command(environment: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the command line, with a plug-in's time cut short."""
    start = "from rtfbench.engines import registry; registry.LIMIT_S = 5.0"
    code = f"{start}\nfrom rtfbench.commands import main\nmain({list(arguments)!r})"
    return subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_every_engine_is_listed_whatever_a_plug_in_does(plugins: dict[str, str]) -> None:
    """Those that exit, end the process, hang or raise are rows with the reason, as the missing."""
    done = command(plugins, "engines")
    assert (done.returncode, done.stderr) == (0, "")
    rows = {line.split()[0]: line for line in done.stdout.splitlines() if line.strip()}
    for name, reason in {
        "sulks": "no precisions today",
        "exits": "importing it ends the process (status 0)",
        "ends": "importing it ends the process (status 0)",
        "hangs": "not imported within 5 s",
        "raises": "a word",
        "missing": "pip install it",
        "absent": "of_this_name_there_is_nothing",
    }.items():
        assert "unavailable" in rows[name], rows[name]
        assert reason in done.stdout
    for name in ("good", "zz-good", "onnxruntime", "mnn", "mnn-mini", "null"):
        assert "unavailable" not in rows[name]
    # A plug-in's onnxruntime would compute nothing.
    assert "graph_optimization" in done.stdout
    assert "good:Shadow calls its engine onnxruntime" in done.stdout


def test_other_commands_do_without(plugins: dict[str, str], short_speech: Path) -> None:
    """Who names an engine that cannot be imported is told why; others never import it."""
    for name in ("exits", "hangs", "sulks"):
        done = command(plugins, "run", "--model", "xvec", "--engine", name)
        assert done.returncode == 2, done.stdout
        assert f"engine '{name}'" in done.stderr
        assert "cannot be loaded" in done.stderr
        assert "Traceback" not in done.stderr
