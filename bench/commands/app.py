"""The application that every command registers with."""

from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.models import CommandFunctionType

#: What `--help` lists together; every other command stands under More.
GROUPS = {
    "Start here": ("tune", "run", "report"),
    "Embeddings": ("extract", "verify", "score", "merge"),
    "CI": ("gate", "compare", "history"),
}
MORE = "More"


class CommandsInGroups(TyperGroup):
    """The list of commands, those that a newcomer wants first."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write each group's commands under its name."""
        named = {name for names in GROUPS.values() for name in names}
        rest = tuple(name for name in self.list_commands(ctx) if name not in named)
        for title, names in {**GROUPS, MORE: rest}.items():
            found = [(name, self.get_command(ctx, name)) for name in names]
            with formatter.section(title):
                formatter.write_dl(
                    [(name, each.get_short_help_str(100)) for name, each in found if each]
                )


class ExampleFirst(TyperCommand):
    """A command whose help begins with the shortest of its examples."""

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """Write the example, then what the command does."""
        lines = [line.strip() for line in (self.epilog or "").splitlines()]
        examples = [line for line in lines if line.startswith("rtfbench ")]
        if examples:
            formatter.write_paragraph()
            with formatter.indentation():
                formatter.write_text(min(examples, key=len))
        super().format_help_text(ctx, formatter)


class App(typer.Typer):
    """The application: every command of it is an `ExampleFirst`."""

    def command(
        self, name: str | None = None, *, cls: type[TyperCommand] | None = ExampleFirst, **more: Any
    ) -> Callable[[CommandFunctionType], CommandFunctionType]:
        """Register a command."""
        return super().command(name, cls=cls, **more)


app = App(
    name="rtfbench",
    cls=CommandsInGroups,
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
