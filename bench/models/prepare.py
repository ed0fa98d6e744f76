"""Make model files and reference embeddings, in a process of its own because it loads torch.

python -m bench.models.prepare REQUEST.json
"""

import sys
from pathlib import Path

import torch

from bench.base.cache import sha256_of
from bench.embed import reference
from bench.embed.audio_input import DEFAULT_SPEECH, read_source
from bench.embed.pipeline import Pipeline
from bench.models.user_models import natural_chunk_samples
from bench.models.workload import PrepareRequest
from bench.zoo import artifacts, build, catalog, convert, counter, export
from bench.zoo.artifacts import ArtifactRequest
from bench.zoo.reference_session import TorchSession
from bench.zoo.repvgg import reparameterize
from bench.zoo.seeded import denormal_share, seed_weights
from engines.protocol import PUBLISHED_NUM_FRAMES, ModelArtifact
from frontends.audio import read_audio

SPEECH = DEFAULT_SPEECH / "workshop_en_gb_f.flac"


def seeded_model(name: str) -> torch.nn.Module:
    """Build a model of the catalog with its seeded weights, in the form that is exported."""
    model = build(name)
    seed_weights(model, seed=artifacts.WEIGHT_SEED)
    return reparameterize(model).eval()


def denormals_on_speech(model: torch.nn.Module, num_frames: int) -> float:
    """Return the share of denormal activations on one chunk of recorded speech."""
    pipeline = Pipeline(natural_chunk_samples(num_frames))
    return denormal_share(model, pipeline.first_chunk(read_audio(SPEECH)))


def make_artifact(model: torch.nn.Module, request: ArtifactRequest) -> ModelArtifact:
    """Export a model, convert it where MNN is asked for, count it, and remember it."""
    card = catalog.get(request.model)
    folder = artifacts.model_folder(request.model)
    frames = request.chunk_frames if request.form == "static" else None
    onnx_path = folder / f"{frames or 'dynamic'}.onnx"
    if not onnx_path.is_file():
        export.to_onnx(model, onnx_path, feat_dim=card.feat_dim, num_frames=frames)
    path = folder / request.file_name
    if request.format == "mnn" and not path.is_file():
        convert.to_mnn(onnx_path, path, static=request.form == "static")
    counted_frames = request.chunk_frames or PUBLISHED_NUM_FRAMES
    counts = counter.count(model, counted_frames)
    artifact = ModelArtifact(
        name=request.model,
        path=path,
        format=request.format,
        form=request.form,
        num_frames=frames,
        feat_dim=card.feat_dim,
        embedding_dim=card.embed_dim,
        sha256=sha256_of(path),
        params=counts.params,
        flops=counts.published_flops,
        macs=counts.macs if request.chunk_frames else None,
        denormal_share=denormals_on_speech(model, counted_frames),
    )
    artifacts.remember(request, artifact)
    return artifact


def make_reference(model: torch.nn.Module, request: reference.ReferenceRequest) -> None:
    """Compute the embedding of every chunk and store it."""
    pipeline = Pipeline(request.chunk_samples)
    session = TorchSession(model)
    chunks_CD = {
        source.name: pipeline.embed(session, read_source(source)).chunk_embeddings_CD
        for source in request.sources
    }
    reference.save_reference(reference.path_of(request, artifacts.zoo_key()), chunks_CD)


def main() -> None:
    """Make everything that the request names."""
    request = PrepareRequest.model_validate_json(Path(sys.argv[1]).read_text(encoding="utf-8"))
    model = seeded_model(request.model)
    failures: list[str] = []
    for artifact_request in request.artifacts:
        try:
            make_artifact(model, artifact_request)
        except convert.ConversionError as error:
            # The other files, and what embeddings are compared with, are of use without this one.
            failures.append(str(error))
    for reference_request in request.references:
        make_reference(model, reference_request)
    if failures:
        sys.exit(failures[0])


if __name__ == "__main__":
    main()
