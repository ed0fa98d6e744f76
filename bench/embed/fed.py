"""The front end that travels with a model file, as text: engines carry it and do not read it."""

from pydantic import TypeAdapter, ValidationError

from rtfbench.frontends.front_end import WESPEAKER, FrontEnd

_FRONT_END = TypeAdapter(FrontEnd)


def read(text: str, feat_dim: int) -> FrontEnd:
    """Return the front end that `written` wrote; an empty text is WeSpeaker's.

    Raises:
        ValueError: it is no front end.
    """
    if not text:
        return WESPEAKER.with_bins(feat_dim)
    try:
        return _FRONT_END.validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"no front end: {where}: {first['msg']}") from error


def written(front_end: FrontEnd) -> str:
    """Return a front end as text, an empty one for WeSpeaker's of any number of bins."""
    if not front_end.differences(WESPEAKER.with_bins(front_end.fbank.num_mel_bins)):
        return ""
    return dumped(front_end)


def dumped(front_end: FrontEnd) -> str:
    """Return a front end as text, whichever it is."""
    return _FRONT_END.dump_json(front_end).decode()
