"""rtfbench: measure inference engines on speaker-embedding models.

The public names are loaded when they are first used, so that importing this package loads no
runtime; `bench/__init__.pyi` has their types.
"""

from importlib import import_module

_PUBLIC = {
    "run": "rtfbench.api.running",
    "load_run": "rtfbench.api.running",
    "Result": "rtfbench.api.result",
    "compare": "rtfbench.api.comparing",
    "Verdict": "rtfbench.api.comparing",
    "Embedder": "rtfbench.api.embedder",
    "InputError": "rtfbench.base.errors",
}

__all__ = list(_PUBLIC)


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
