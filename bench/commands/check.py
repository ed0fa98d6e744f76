"""`rtfbench check`."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from rtfbench.base.errors import InputError, complain
from rtfbench.commands.app import app, examples

if TYPE_CHECKING:
    from rtfbench.measure.check import Answer, Checked

VERIFIED, DIFFERS, BAD_INPUT, CANNOT_BE_TOLD = 0, 1, 2, 3


@app.command(
    short_help="Tell whether a stored run says what its records say.",
    epilog=examples(
        "rtfbench check runs/bench",
        "rtfbench check reports/ --json",
        "rtfbench check run.tar.gz --signers allowed_signers",
        "rtfbench check runs/bench --sign ~/.ssh/id_ed25519",
    )
    + "\n\nExit status: 0 all verified, 1 something differs, 2 bad input, 3 something cannot be "
    "told.",
)
def check(
    runs: Annotated[
        list[Path],
        Argument(
            metavar="RUN|FOLDER|ARCHIVE...",
            help="Folders that `rtfbench run` made, folders of such, or .tar and .zip files.",
        ),
    ],
    sign: Annotated[
        Path | None,
        Option(
            metavar="KEY",
            help="Sign the records and the environment of each run that is verified, with a key "
            "of OpenSSH, into records.sig in its folder.",
        ),
    ] = None,
    signers: Annotated[
        Path | None,
        Option(
            metavar="FILE", help="Hold records.sig against these allowed signers (see ssh-keygen)."
        ),
    ] = None,
    json_: Annotated[bool, Option("--json", help="Print JSON, a line a run.")] = False,
) -> None:
    """Derive every figure of a run from its records again, and hold its lines against each other.

    summary.json, table.md, report.html and the pictures have to be what the records say; turns,
    blocks and sessions have to be whole, parts no longer than the whole, and versions those of the
    environment. What a run should have been it cannot tell: a signature says whose word it is.
    """
    import json
    from dataclasses import asdict

    answers: set[Answer | None] = set()
    for path in runs:
        try:
            for name, found, signed_by in _checked(path, sign, signers):
                if isinstance(found, str):
                    complain(f"{name}: cannot be checked: {found}")
                    answers.add(None)
                    continue
                answers.add(found.answer)
                if json_:
                    told = {"path": name, "answer": found.answer, "signed_by": signed_by}
                    print(json.dumps(asdict(found) | told))
                    continue
                by = f", signed by {signed_by}" if signed_by else ""
                print(f"{name}: {found.answer}{by}")
                for line in (*found.differences, *found.untold):
                    print(f"  {line}")
        except InputError as error:
            complain(str(error))
            answers.add(None)
    status: dict[Answer | None, int] = {
        None: BAD_INPUT,
        "differs": DIFFERS,
        "cannot be told": CANNOT_BE_TOLD,
    }
    raise typer.Exit(next((status[each] for each in status if each in answers), VERIFIED))


def _checked(
    path: Path, sign: Path | None, signers: Path | None
) -> Iterator[tuple[str, "Checked | str", str | None]]:
    """Yield each run of a folder or an archive: its name, what was found or why not, its signer.

    Raises:
        InputError: there is none, or it cannot be read or signed.
    """
    from rtfbench.measure import check as checking
    from rtfbench.results.store import SIGNATURE

    with checking.unpacked(path) as folder:
        if sign is not None and folder != path:
            raise InputError(f"{path}: cannot be signed inside an archive; unpack it first")
        for run in checking.runs_in(folder):
            name = str(path / run.relative_to(folder))
            try:
                found, statement = checking.check(run), checking.statement(run)
            except OSError as error:
                yield name, f"{error.filename}: {error.strerror}", None
                continue
            except InputError as error:
                yield name, str(error), None
                continue
            signed, signed_by = run / SIGNATURE, None
            if signers is not None:
                signed_by = checking.signer(statement, signed, signers)
                if signed_by is None:
                    found = found.differing(f"no allowed signer of {signers} signed it")
            if sign is not None and found.answer == "verified":
                checking.sign(statement, sign, signed)
            yield name, found, signed_by
