"""torch to ncnn through pnnx; both of a network's files in one.

A `.ncnn` file is a zip archive, not compressed, of `model.param` and `model.bin`.
"""

import zipfile
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rtfbench.engines.processes import run_tool
from rtfbench.engines.protocol import ConversionError, EngineError

PARAM, WEIGHTS = "model.param", "model.bin"
LIMIT_S = 300.0
#: What else pnnx writes, beside the file that it reads.
OTHERS = ("pnnxparam", "pnnxbin", "pnnxpy", "pnnxonnx", "ncnnpy")


def to_ncnn(
    model: Any, path: Path, *, feat_dim: int, num_frames: int | None, limit_s: float = LIMIT_S
) -> None:
    """Write a torch module in eval mode, [1, num_frames, feat_dim] -> [1, D], as one file.

    Raises:
        ConversionError: there is no pnnx, or it does not know an operator.
    """
    if num_frames is None:
        raise ConversionError("ncnn files are for one length; choose --form static")
    with TemporaryDirectory(prefix="rtfbench-ncnn-") as name:
        folder = Path(name)
        source = folder / "model.pt"
        _trace(model, source, feat_dim=feat_dim, num_frames=num_frames)
        command = [
            str(_pnnx()),
            str(source),
            f"inputshape=[1,{num_frames},{feat_dim}]f32",
            "fp16=0",
        ]
        command += [f"ncnnparam={folder / PARAM}", f"ncnnbin={folder / WEIGHTS}"]
        command += [f"{other}={folder / other}" for other in OTHERS]
        made = [folder / PARAM, folder / WEIGHTS]
        run_tool(command, folder=folder, made=made, failed="pnnx failed", limit_s=limit_s)
        _check_operators(folder / PARAM)
        with zipfile.ZipFile(path, "w") as archive:
            for each in made:
                archive.write(each, each.name)


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
