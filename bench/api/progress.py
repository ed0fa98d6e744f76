"""How a program is told what a measurement is doing."""

from collections.abc import Callable

#: Is told what goes on, and which share of the measuring is done, 0 to 1.
ProgressCallback = Callable[[str, float], None]


class Told:
    """Progress that a function is told of, if there is one."""

    def __init__(self, callback: ProgressCallback | None) -> None:
        self._callback = callback or (lambda text, done: None)
        self._text, self._done = "starting", 0.0

    def phase(self, text: str) -> None:
        """Tell what begins."""
        self._text = text
        self._callback(text, self._done)

    def step(self, text: str) -> None:
        """Tell what begins within a phase."""
        self.phase(text)

    def note(self, text: str) -> None:
        """Tell what a user should know."""
        self._callback(text, self._done)

    def advance(self, done: float) -> None:
        """Tell how much is done."""
        self._done = done
        self._callback(self._text, done)
