"""Files of a model of the catalog: seeded, exported, counted; loads torch."""

from functools import cached_property
from pathlib import Path
from typing import Any

from rtfbench.base.cache import intact, seal, sha256_of
from rtfbench.embed.audio_input import DEFAULT_SPEECH
from rtfbench.embed.pipeline import Pipeline
from rtfbench.engines.base import SessionBase
from rtfbench.engines.protocol import FLOAT32, ONNX, PUBLISHED_NUM_FRAMES, Format, ModelArtifact
from rtfbench.frontends.audio import read_audio
from rtfbench.frontends.chunking import natural_chunk_samples
from rtfbench.models import conversion
from rtfbench.models.artifacts import ArtifactRequest, CatalogModel
from rtfbench.models.conversion import convert, is_from_onnx, quantize
from rtfbench.models.front_ends import metadata_of
from rtfbench.models.zoo import catalog, counter, export
from rtfbench.models.zoo.export import TorchSession
from rtfbench.models.zoo.weights import denormal_share, seeded_model, trained_model

SPEECH = DEFAULT_SPEECH / "workshop_en_gb_f.flac"


class CatalogMaker:
    """Makes the files of one model of the catalog."""

    def __init__(self, model: CatalogModel) -> None:
        self._of, self._card = model, catalog.get(model.slug)

    @cached_property
    def _model(self) -> Any:
        trained = catalog.weights_of(self._of.slug, self._of.weights) == "trained"
        return (trained_model if trained else seeded_model)(self._of.slug)

    def make_artifact(self, request: ArtifactRequest) -> ModelArtifact:
        """Export the model, convert it where another format is asked for, and count it.

        Raises:
            ConversionError: it cannot be converted.
        """
        frames = request.chunk_frames if request.form == "static" else None
        path, recipe = self._of.folder / request.file_name, ""
        if request.precision != FLOAT32:
            recipe = quantize(self._onnx(frames), path, request, self._of.front_end)
        elif not intact(path):
            self._write(path, request.format, frames)
            seal(path)
        counted_frames = request.chunk_frames or PUBLISHED_NUM_FRAMES
        counts = counter.count(self._model, counted_frames, self._card.feat_dim)
        pipeline = Pipeline(natural_chunk_samples(counted_frames), self._of.front_end)
        speech_BTM = pipeline.first_chunk(read_audio(SPEECH))
        return ModelArtifact(
            name=self._of.slug,
            path=path,
            format=request.format,
            form=request.form,
            num_frames=frames,
            feat_dim=self._card.feat_dim,
            embedding_dim=self._card.embed_dim,
            sha256=sha256_of(path),
            params=counts.params,
            flops=counts.published_flops,
            macs=counts.macs if request.chunk_frames else None,
            denormal_share=denormal_share(self._model, speech_BTM),
            precision=request.precision,
            recipe=recipe,
        )

    def _write(self, path: Path, format: Format, frames: int | None) -> None:
        """Write a file, through one in ONNX where its format is made from that."""
        if not is_from_onnx(format):
            conversion.export(
                self._model, path, format, feat_dim=self._card.feat_dim, num_frames=frames
            )
            return
        onnx_path = self._onnx(frames)
        if format != ONNX:
            said = metadata_of(self._of.front_end, self._card.embed_dim)
            convert(onnx_path, path, format, static=frames is not None, said=said)

    def _onnx(self, frames: int | None) -> Path:
        """Return the model as ONNX, exported when it is not there."""
        path = self._of.folder / f"{frames or 'dynamic'}.onnx"
        if not intact(path):
            export.to_onnx(self._model, path, feat_dim=self._card.feat_dim, num_frames=frames)
            seal(path)
        return path

    def open_reference(self) -> SessionBase:
        """Open the model in torch."""
        return TorchSession(self._model)
