"""What `pyproject.toml` cannot say: which packages there are, and README for a package registry.

The package `rtfbench` is `bench` in the checkout, and `engines` and `frontends` are parts of it.

Relative links lead nowhere there. They become addresses below `Source` in `[project.urls]`. While
that is not set, they become plain text: a reader there sees no broken link.
"""

import re
import tomllib
from pathlib import Path

LINK = re.compile(r"!?\[([^\]]*)\]\((?!\w+://)([^)\s]+)\)")


def for_registry(text: str, source: str | None) -> str:
    """Return a page whose links lead somewhere from anywhere.

    Args:
        text: markdown, with links that are relative to the project's root.
        source: the address of the repository, None where it is not known.
    """
    if source is None:
        return LINK.sub(r"\1", text)
    return LINK.sub(rf"[\1]({source.rstrip('/')}/blob/HEAD/\2)", text)


if __name__ == "__main__":
    from setuptools import find_packages, setup

    root = Path(__file__).parent
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    folders = {
        "rtfbench": "bench",
        "rtfbench.engines": "engines",
        "rtfbench.frontends": "frontends",
    }
    setup(
        packages=[
            *folders,
            *(f"{name}.{each}" for name, part in folders.items() for each in find_packages(part)),
        ],
        long_description=for_registry(
            (root / "README.md").read_text(encoding="utf-8"),
            project.get("urls", {}).get("Source"),
        ),
        long_description_content_type="text/markdown",
    )
