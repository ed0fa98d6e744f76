"""`requirements.lock`: what `constraints.txt` pins, and all that it needs, with hashes."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
#: Which build of torch is right is the machine's choice; the others are no part of `make install`.
NOT_LOCKED = {"torch", "atheris", "iree-base-compiler", "iree-base-runtime"}
NOT_LOCKED |= {"ai-edge-litert", "executorch"}


def normal(name: str) -> str:
    """Return a package's name as indexes write it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_lock_is_that_of_the_constraints() -> None:
    """Another version in either file means that `make lock` was forgotten."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    wanted = {normal(name): version for name, version in pins.items()}
    entries = re.findall(
        r"^([a-z][^=\s]*)==(\S+) \\$", (ROOT / "requirements.lock").read_text(), re.MULTILINE
    )
    locked = {normal(name): version for name, version in entries}
    assert {name: locked.get(name) for name in wanted} == wanted | dict.fromkeys(NOT_LOCKED)


def test_every_package_of_the_lock_has_hashes() -> None:
    """One without would be whatever an index hands out; no index is named either."""
    text = (ROOT / "requirements.lock").read_text()
    assert "//" not in text
    for block in re.split(r"^(?=[a-z])", text, flags=re.MULTILINE)[1:]:
        first, *hashes = block.replace("\\\n", "").split("\n", 1)[0].split()
        assert "==" in first
        assert hashes, first
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", each) for each in hashes), first
