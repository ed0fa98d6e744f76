"""The application that every command registers with."""

from typing import Annotated

import typer

app = typer.Typer(
    name="rtfbench",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    # Plain help: brackets in it are text, and it stays readable at any width.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Compare inference engines on speaker-embedding models: real-time factor (RTF), with "
    "proof that all engines compute the same embedding.",
    epilog="Exit status: 0 all well, 1 something measured is not ok, 2 bad input; 130, 143, "
    "129 or 141 after Ctrl-C, SIGTERM, SIGHUP, or a reader that left early.",
)


def examples(*lines: str) -> str:
    """Return a help text's examples."""
    # The backspace tells the formatter to leave the lines that follow as they are.
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"rtfbench {version('rtfbench')}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass
