"""Model files on demand, as commands other than `run` ask for them."""

from pathlib import Path

import pytest

from rtfbench.base.errors import InputError
from tests.ready import artifact_for


def test_a_catalog_model_is_made_once(tmp_path: Path) -> None:
    """The first call makes the file and says so, the second finds it in the cache."""
    said: list[str] = []
    first = artifact_for(
        "xvec", "onnxruntime", form=None, chunk_samples=32000, logs=tmp_path, said=said
    )
    assert first.path.is_file()
    assert (first.format, first.form, first.feat_dim) == ("onnx", "dynamic", 80)
    said.clear()
    again = artifact_for(
        "xvec", "onnxruntime", form=None, chunk_samples=32000, logs=tmp_path, said=said
    )
    assert again == first
    assert said == []


@pytest.mark.parametrize(
    ("model", "engine", "chunk_samples", "message"),
    [
        ("xvek", "onnxruntime", 32000, "did you mean xvec"),
        ("xvec", "onnxrutime", 32000, "did you mean onnxruntime"),
        ("xvec", "mnn-mini", -1, "--chunk-samples"),
    ],
)
def test_what_cannot_be_made_is_refused(
    tmp_path: Path, model: str, engine: str, chunk_samples: int, message: str
) -> None:
    """A misspelt name, or a static model for whole utterances, is bad input with its cure."""
    with pytest.raises(InputError, match=message):
        artifact_for(model, engine, form=None, chunk_samples=chunk_samples, logs=tmp_path)
