"""README as a package registry shows it."""

import importlib.util
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("rtfbench_setup", ROOT / "setup.py")
assert spec is not None
assert spec.loader is not None
setup = importlib.util.module_from_spec(spec)
spec.loader.exec_module(setup)

TEXT = "[Start](docs/start.md#with-pip), [WeSpeaker](https://example.org/a) and `a[0](x)`"


def test_relative_links_become_addresses() -> None:
    """Those of files of the project; others stay as they are."""
    assert setup.for_registry(TEXT, "https://example.org/rtfbench/").startswith(
        "[Start](https://example.org/rtfbench/blob/HEAD/docs/start.md#with-pip), "
        "[WeSpeaker](https://example.org/a)"
    )


def test_without_an_address_they_become_text() -> None:
    """A reader sees the words, and nothing to press that leads nowhere."""
    shown = setup.for_registry((ROOT / "README.md").read_text(encoding="utf-8"), None)
    links = re.findall(r"\]\(([^)\s]+)\)", shown)
    assert [link for link in links if "://" not in link] == []
    assert "see every command | Commands, `rtfbench COMMAND --help` |" in shown
