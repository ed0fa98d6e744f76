from rtfbench.api.comparing import Verdict as Verdict
from rtfbench.api.comparing import compare as compare
from rtfbench.api.embedder import Embedder as Embedder
from rtfbench.api.result import Result as Result
from rtfbench.api.running import load_run as load_run
from rtfbench.api.running import run as run
from rtfbench.base.errors import InputError as InputError

__all__ = ["Embedder", "InputError", "Result", "Verdict", "compare", "load_run", "run"]
