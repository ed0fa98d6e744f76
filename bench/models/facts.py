"""What must be the same on every host, so that it does not matter which one computes."""

from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version

from rtfbench.base.cache import fingerprint
from rtfbench.base.packages import PACKAGE
from rtfbench.base.values import Value
from rtfbench.engines import registry
from rtfbench.engines.protocol import HOME, EngineSpec

#: An embedding depends on the features, and they on numpy's transforms; Dask's own versions do not
#: all understand each other.
PACKAGES = ("rtfbench", "numpy", "distributed")


class Facts(Value):
    """The versions that a process has: of packages, of a runtime of one's own, and of this code."""

    packages: dict[str, str]
    libraries: dict[str, str]
    source: str

    def differences(self, wanted: "Facts") -> list[str]:
        """Say what is not as wanted, each with its cure."""
        found = [
            f"{name} is {self.packages.get(name) or 'not installed'}, not {want}; install it there "
            f"with: pip install {name}=={want}"
            for name, want in wanted.packages.items()
            if self.packages.get(name) != want
        ]
        found += [
            f"{name} is {self.libraries.get(name) or 'not to be had'}, not {want}; put the same "
            "library there"
            for name, want in wanted.libraries.items()
            if self.libraries.get(name) != want
        ]
        if not found and self.source != wanted.source:
            found.append(
                f"the code of rtfbench is {self.source}, not {wanted.source}; install the same "
                "revision there, and restart the worker"
            )
        return found


def facts_of(*engines: EngineSpec) -> Facts:
    """Return what this process has of what results of these engines depend on.

    Raises:
        EngineError: there is no engine of this name here.
    """
    packages, libraries = {name: _version(name) for name in PACKAGES}, {}
    for name, settings, _ in engines:
        engine = registry.on(name, settings)
        if engine.distribution and not settings.get(HOME):
            packages[engine.distribution] = _version(engine.distribution)
        else:
            libraries[name] = engine.probe().version
    return Facts(packages=packages, libraries=libraries, source=source())


@lru_cache(maxsize=1)
def source() -> str:
    """Return what tells this code from that of any other revision."""
    inside = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    return fingerprint(sorted(inside | {"engines", "frontends"}), ())


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
