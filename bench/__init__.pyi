from bench.api.comparing import Verdict as Verdict
from bench.api.comparing import compare as compare
from bench.api.embedder import Embedder as Embedder
from bench.api.result import Result as Result
from bench.api.running import load_run as load_run
from bench.api.running import run as run
from bench.base.errors import InputError as InputError

__all__ = ["Embedder", "InputError", "Result", "Verdict", "compare", "load_run", "run"]
