"""Plans from TOML files and flags; the package brings some."""

from pathlib import Path
from typing import Any

from bench.base import toml_files
from bench.plan.sweep import Axes, Plan

#: Sweeps that come with the package, each under its name.
SWEEPS = Path(__file__).parent / "sweeps"


def load_plan(path: Path | None, flags: dict[str, Any]) -> Plan:
    """Return the plan of a TOML file, overridden by the flags that were given.

    Args:
        path: the TOML file, or the name of one in the package; its keys are the fields of
            `Plan`. None takes the defaults.
        flags: field name -> value; None and empty values were not given.

    Raises:
        InputError: unreadable file, unknown key, or a value out of range.
    """
    content: dict[str, Any] = {}
    if path is not None:
        path = _find(path)
        content = toml_files.read_toml(path, "plan")
    given = {key: value for key, value in flags.items() if value not in (None, (), [])}
    content |= given
    if isinstance(content.get("sweep"), list):
        content["sweep"] = [_complete(table, content, given) for table in content["sweep"]]
    return toml_files.validate(Plan, content, path or "command line")


def _complete(table: Any, content: dict[str, Any], given: dict[str, Any]) -> Any:
    """Fill up a `[[sweep]]` table: flags come first, then the table, then the rest of the file."""
    if not isinstance(table, dict):
        return table  # validation says what is wrong with it

    def axes(values: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in values.items() if key in Axes.model_fields}

    return axes(content) | table | axes(given)


def _find(path: Path) -> Path:
    """Return a plan's file; a bare name that is no file here is one of the package's plans."""
    packaged = SWEEPS / f"{path}.toml"
    is_name = path.name == str(path) and not path.exists()
    return packaged if is_name and packaged.is_file() else path
