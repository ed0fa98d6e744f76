"""ncnn on the CPU, from TorchScript through its converter pnnx.

Not from ONNX: pnnx takes the axis of the pooling over time for another one there, and the embedding
is silently wrong. ncnn knows no batch and no length that varies: a file is for one of both. A
`.ncnn` file is a zip archive, not compressed, of `model.param` and `model.bin`.
"""

import zipfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from rtfbench.engines.base import RuntimeEngine, RuntimeSession
from rtfbench.engines.processes import run_tool
from rtfbench.engines.protocol import (
    ConversionError,
    EngineError,
    FloatArray,
    Form,
    Format,
    ModelArtifact,
    SessionOptions,
    Support,
)

#: Whatever makes values smaller than 32 bits; all of it is on by default.
SMALLER = ("bf16_storage", "fp16_packed", "fp16_storage", "fp16_arithmetic")
SMALLER_INT8 = ("int8_packed", "int8_storage", "int8_arithmetic", "int8_inference")
PARAM, WEIGHTS = "model.param", "model.bin"
LIMIT_S = 300.0
#: What else pnnx writes, beside the file that it reads.
OTHERS = ("pnnxparam", "pnnxbin", "pnnxpy", "pnnxonnx", "ncnnpy")
#: After a run, threads would wait for so many milliseconds in a loop.
NO_WAIT_MS = 0


class NcnnEngine(RuntimeEngine):
    """ncnn in float32: static models of the catalog.

    Settings: `winograd` convolutions; ncnn flushes denormals, which its Python binding cannot
    change.
    """

    name = module = distribution = "ncnn"
    format: Format = "ncnn"
    default_form: Form = "static"
    from_onnx = False
    choices: Mapping[str, tuple[str, ...]] = {"winograd": ("on", "off")}
    fewer_operations = "Winograd convolutions"

    def supports(self, artifact: ModelArtifact, options: SessionOptions) -> Support:
        """Take static models only."""
        if artifact.form == "static":
            return super().supports(artifact, options)
        why = "its files are for one length; choose --form static"
        return Support(False, f"ncnn needs a static model: {why}")

    def export(self, model: Any, path: Path, *, feat_dim: int, num_frames: int | None) -> None:
        """Trace the model and hand it to pnnx, which has to be installed, and knows not all."""
        if num_frames is None:
            raise ConversionError("ncnn files are for one length; choose --form static")
        with TemporaryDirectory(prefix="rtfbench-ncnn-") as name:
            folder = Path(name)
            source = folder / "model.pt"
            _trace(model, source, feat_dim=feat_dim, num_frames=num_frames)
            made = param, weights = folder / PARAM, folder / WEIGHTS
            command = [str(_pnnx()), str(source), f"inputshape=[1,{num_frames},{feat_dim}]f32"]
            command += ["fp16=0", f"ncnnparam={param}", f"ncnnbin={weights}"]
            command += [f"{other}={folder / other}" for other in OTHERS]
            run_tool(command, folder=folder, made=made, failed="pnnx failed", limit_s=LIMIT_S)
            _check_operators(param)
            with zipfile.ZipFile(path, "w") as archive:
                for each in made:
                    archive.write(each, each.name)

    def load(
        self, artifact: ModelArtifact, options: SessionOptions, settings: Mapping[str, str]
    ) -> "NcnnSession":
        """Load the network."""
        import ncnn

        param, weights = read(artifact.path)
        net = ncnn.Net()
        net.opt.num_threads = options.threads
        net.opt.openmp_blocktime = NO_WAIT_MS
        net.opt.use_winograd_convolution = settings["winograd"] == "on"
        for name in (*SMALLER, *SMALLER_INT8):
            setattr(net.opt, f"use_{name}", False)
        if net.load_param_mem(param) != 0:
            raise EngineError(f"{artifact.path}: ncnn cannot load this model; was it made by pnnx?")
        # Loading the weights tells nothing; that they are complete is certain from the archive's
        # checksums.
        net.load_model_mem(weights)
        smaller = ", ".join(each for each in SMALLER if getattr(net.opt, f"use_{each}"))
        effective = {
            "threads": net.opt.num_threads,
            "winograd": "on" if net.opt.use_winograd_convolution else "off",
            "smaller_types": smaller or "none",
            "denormals": "flushed to zero",
        }
        names = net.input_names()[0], net.output_names()[0]
        # The network refers to the weights where they are, and goes first.
        return NcnnSession(artifact, (weights, ncnn.Mat, *names, net), effective)


class NcnnSession(RuntimeSession):
    """One network, with what makes inputs for it and the names of its input and output."""

    engine = "ncnn"

    def compute_one(self, features_TM: FloatArray) -> FloatArray:
        """Run one utterance."""
        _, as_input, taken, given, net = self._loaded
        extractor = net.create_extractor()
        if extractor.input(taken, as_input(features_TM)) != 0:
            raise EngineError("ncnn did not take the input")
        code, output = extractor.extract(given)
        if code != 0:
            raise EngineError(f"ncnn failed with code {code}")
        # The view's memory belongs to the extractor: hand out a copy.
        return np.array(output, np.float32).reshape(-1)


def read(path: Path) -> tuple[str, bytes]:
    """Return a network's description and weights.

    Raises:
        EngineError: no such file, or another one.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.read(PARAM).decode(), archive.read(WEIGHTS)
    except (OSError, zipfile.BadZipFile, KeyError, UnicodeDecodeError) as error:
        raise EngineError(f"{path}: not a complete .ncnn file ({error})") from error


def _pnnx() -> Path:
    """Return the converter, without importing its package: that imports torch and more."""
    found = find_spec("pnnx")
    if found is None or not found.origin:
        raise ConversionError(
            "pnnx is not installed; install it with: pip install 'rtfbench[ncnn]'"
        )
    return Path(found.origin).with_name("pnnx")


def _check_operators(param: Path) -> None:
    """Refuse what pnnx passes through under torch's name, which ncnn does not know."""
    kinds = [line.split()[0] for line in param.read_text(encoding="utf-8").splitlines()[2:]]
    unknown = sorted({kind for kind in kinds if "." in kind})
    if unknown:
        raise ConversionError(f"unsupported: {', '.join(unknown)}")


def _trace(model: Any, path: Path, *, feat_dim: int, num_frames: int) -> None:
    """Write the model as TorchScript, in operators that ncnn has."""
    import warnings

    import torch
    from torch.overrides import TorchFunctionMode

    class Plain(TorchFunctionMode):
        """Writes variances and expansions, which pnnx passes through, in other operators."""

        def __torch_function__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            kwargs = kwargs or {}
            if func is torch.Tensor.var:
                return _variance(args[0], **kwargs)
            if func is torch.Tensor.expand_as:
                return args[0].expand(args[1].shape)
            return func(*args, **kwargs)

    features_BTM = torch.randn(1, num_frames, feat_dim)
    with warnings.catch_warnings(), torch.no_grad(), Plain():
        # TorchScript is deprecated, and what pnnx reads; constants in the trace are meant.
        warnings.simplefilter("ignore")
        traced: Any = torch.jit.trace(  # type: ignore[no-untyped-call]
            model, features_BTM, check_trace=False
        )
        traced.save(str(path))


def _variance(x: Any, dim: int, keepdim: bool = False) -> Any:
    """Return the unbiased variance."""
    count = x.shape[dim]
    centred = x - x.mean(dim=dim, keepdim=True)
    return (centred * centred).mean(dim=dim, keepdim=keepdim) * (count / (count - 1))
