"""What users' CI runs: the shell of the GitHub action and of GitLab's template, in a repository.

The services themselves are not here: `gh` is a stand-in that keeps comments in a file.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).parents[2]
ACTION = ROOT / ".github" / "actions" / "rtfbench-gate"
GITLAB = ROOT / ".gitlab" / "rtfbench-gate.yml"
RTFBENCH = Path(sys.executable).with_name("rtfbench")
MODEL = "models/speaker model.onnx"
#: Half a thousandth of a limit can be told in no second.
UNDECIDED = {"BUDGET": "1", "MAX_REGRESSION": "0.05%"}
Shell = Callable[..., "subprocess.CompletedProcess[str]"]

GH = """#!{python}
import json, pathlib, sys
kept = pathlib.Path("comments.json")
comments = json.loads(kept.read_text()) if kept.exists() else []
words = sys.argv[1:]
if "--method" not in words:
    marker = words[words.index("--jq") + 1].split('startswith("')[1].split('"')[0]
    print(*[n for n, body in enumerate(comments) if body.startswith(marker)], sep="\\n")
else:
    where = words[words.index("--method") + 2]
    body = pathlib.Path(words[words.index("--field") + 1].removeprefix("body=@")).read_text()
    if "POST" in words:
        comments.append(body)
    else:
        comments[int(where.rsplit("/", 1)[1])] = body
    kept.write_text(json.dumps(comments))
"""


def write_slow(path: Path) -> None:
    """Write a model of the tiny one's shape that computes some milliseconds a chunk."""
    rng = np.random.default_rng(0)
    shapes = {"wide": (80, 8000), "narrow": (8000, 16)}
    weights = {k: 0.01 * rng.standard_normal(s).astype(np.float32) for k, s in shapes.items()}
    nodes = [
        helper.make_node("MatMul", ["feats", "wide"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["rectified"]),
        helper.make_node("ReduceMean", ["rectified", "time_axis"], ["mean"], keepdims=0),
        helper.make_node("MatMul", ["mean", "narrow"], ["embs"]),
    ]
    graph = helper.make_graph(
        nodes,
        "slow",
        [helper.make_tensor_value_info("feats", TensorProto.FLOAT, ["B", "T", 80])],
        [helper.make_tensor_value_info("embs", TensorProto.FLOAT, ["B", 16])],
        [
            *(numpy_helper.from_array(each, name) for name, each in weights.items()),
            numpy_helper.from_array(np.array([1]), "time_axis"),
        ],
    )
    opset = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), str(path))


@pytest.fixture
def repository(tmp_path: Path, write_tiny_onnx: Callable[..., Path]) -> Path:
    """Return a repository with a model, as CI has checked it out."""
    folder = tmp_path / "repository"
    (folder / "models").mkdir(parents=True)
    write_tiny_onnx(folder / MODEL)
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    commit(folder, "A model")
    return folder


def commit(repository: Path, what: str) -> str:
    """Commit everything; return the commit."""
    author = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    for words in (("add", "."), (*author, "commit", "-qm", what)):
        subprocess.run(["git", *words], cwd=repository, check=True)
    return head(repository)


def head(repository: Path) -> str:
    """Return the commit."""
    done = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=repository, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def step(repository: Path, tmp_path: Path) -> Shell:
    """Return how the action's step Gate is run: its own shell, with inputs at their defaults."""
    action = yaml.safe_load((ACTION / "action.yml").read_text())
    (gate,) = (each for each in action["runs"]["steps"] if each.get("id") == "gate")
    inputs = {name: each["default"] for name, each in action["inputs"].items()}

    def value(text: str) -> str:
        found = re.fullmatch(r"\$\{\{ inputs\.([\w-]+) \}\}", text)
        return inputs[found[1]] if found else ""

    def run(**variables: str) -> "subprocess.CompletedProcess[str]":
        given = {name: value(text) for name, text in gate["env"].items()}
        runner = {
            "RTFBENCH": str(RTFBENCH),
            "BASE_SHA": head(repository),
            "GITHUB_ACTION_PATH": str(ACTION),
            "GITHUB_OUTPUT": str(tmp_path / "output"),
            "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
            "RUNNER_TEMP": str(tmp_path),
        }
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", gate["run"]],
            cwd=repository,
            env={**os.environ, **given, **runner, **variables},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


def test_a_model_that_got_slower_fails_the_job(
    step: Shell, repository: Path, tmp_path: Path
) -> None:
    """The table stands in the summary and in the comment's file, the answer in the outputs."""
    write_slow(repository / MODEL)
    done = step(MODEL=MODEL, BUDGET="20")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "answer=regression" in (tmp_path / "output").read_text()
    for written in ("summary.md", "rtfbench.md"):
        assert "**Regression: head is slower.**" in (tmp_path / written).read_text()


def test_an_inconclusive_answer_is_a_warning(step: Shell, tmp_path: Path) -> None:
    """By default the job passes."""
    done = step(MODEL=MODEL, **UNDECIDED)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "::warning::" in done.stdout
    assert "answer=inconclusive" in (tmp_path / "output").read_text()


@pytest.mark.parametrize(
    ("variables", "status", "said"),
    [
        ({}, 2, "name a model or a baseline"),
        ({"MODEL": "models/mistyped.onnx"}, 2, "is no file of the repository"),
        ({"MODEL": "models"}, 2, "is no file of the repository"),
        ({"MODEL": "/models/absolute.onnx"}, 2, "is no file of the repository"),
        ({"MODEL": "../repository/models/speaker model.onnx"}, 2, "is no file of the repository"),
        ({"MODEL": MODEL, "BASE_SHA": ""}, 2, "no base to compare with"),
        ({"MODEL": MODEL, "ENGINE": "nope"}, 2, "no engine 'nope'"),
        ({"BASELINE": "none.toml"}, 2, "none.toml: cannot read the baseline"),
        ({"MODEL": "$(touch run).onnx"}, 2, "is no file of the repository"),
    ],
)
def test_bad_input_is_told_and_nothing_of_it_is_run(
    step: Shell, repository: Path, variables: dict[str, str], status: int, said: str
) -> None:
    """What cannot be gated ends with a line that says why."""
    done = step(**variables)
    assert done.returncode == status, done.stdout + done.stderr
    assert said in done.stdout + done.stderr
    assert not (repository / "run").exists()


def test_a_model_that_the_base_lacks_is_new(step: Shell, repository: Path) -> None:
    """There is nothing to compare it with, and the job passes."""
    base = head(repository)
    (repository / "models" / "new.onnx").write_bytes((repository / MODEL).read_bytes())
    commit(repository, "Another model")
    done = step(MODEL="models/new.onnx", BASE_SHA=base)
    assert (done.returncode, "is new" in done.stdout) == (0, True), done.stderr


def test_weights_in_a_file_of_their_own_are_the_bases(
    step: Shell, repository: Path, tmp_path: Path
) -> None:
    """The base's model is whole, and computes what it computed.

    An inconclusive answer fails the job where that is asked for.
    """
    path = repository / MODEL
    onnx.save(
        onnx.load(path), path, save_as_external_data=True, location="w.data", size_threshold=100
    )
    base = commit(repository, "Weights of their own")
    (repository / "note").write_text("anything")
    commit(repository, "A note")
    done = step(MODEL=MODEL, BASE_SHA=base, **UNDECIDED, FAIL_ON_INCONCLUSIVE="true")
    assert "answer=inconclusive" in (tmp_path / "output").read_text(), done.stdout + done.stderr
    assert done.returncode == 3, done.stdout + done.stderr
    data = Path("models", "w.data")
    assert (tmp_path / "base" / data).read_bytes() == (repository / data).read_bytes()
    status = subprocess.run(
        ["git", "status", "--porcelain"], cwd=repository, capture_output=True, text=True, check=True
    )
    assert status.stdout == ""


def test_one_comment_is_updated(tmp_path: Path) -> None:
    """The second push rewrites the comment of the first, and no one else's."""
    gh = tmp_path / "bin" / "gh"
    gh.parent.mkdir()
    gh.write_text(GH.format(python=sys.executable))
    gh.chmod(0o755)
    (tmp_path / "comments.json").write_text(json.dumps(["looks good to me"]))
    variables = {"RUNNER_TEMP": str(tmp_path), "GITHUB_REPOSITORY": "a/b", "NUMBER": "7"}
    path = f"{gh.parent}{os.pathsep}{os.environ['PATH']}"
    for table in ("| first |", "| second |"):
        (tmp_path / "rtfbench.md").write_text(table)
        subprocess.run(
            ["bash", ACTION / "comment.sh"],
            cwd=tmp_path,
            env={**os.environ, **variables, "PATH": path},
            check=True,
            timeout=60,
        )
    first, ours = json.loads((tmp_path / "comments.json").read_text())
    assert first == "looks good to me"
    assert ours == "<!-- rtfbench-gate -->\n| second |"


def test_gitlabs_job_compares_with_the_merge_requests_base(
    repository: Path, tmp_path: Path
) -> None:
    """Its script writes the table and JUnit's XML where its artifacts are taken from."""
    job = yaml.safe_load(GITLAB.read_text())[".rtfbench-gate"]
    write_slow(repository / MODEL)
    (repository / ".rtfbench" / "bin").mkdir(parents=True)
    (repository / ".rtfbench" / "bin" / "rtfbench").symlink_to(RTFBENCH)
    given: dict[str, Any] = {**job["variables"], "MODEL": MODEL, "BUDGET": "20"}
    base = {"CI_MERGE_REQUEST_DIFF_BASE_SHA": head(repository)}
    own = {name: value for name, value in given.items() if not value.startswith("$")}
    (script,) = job["script"]
    done = subprocess.run(
        ["sh", "-e", "-c", script],
        cwd=repository,
        env={**os.environ, **own, **base},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Regression" in (repository / job["artifacts"]["paths"][0]).read_text()
    assert "<failure" in (repository / job["artifacts"]["reports"]["junit"]).read_text()


@pytest.mark.parametrize(
    ("schema", "folder", "names"),
    [
        ("vendor.github-actions", ACTION, ["action"]),
        ("vendor.gitlab-ci", GITLAB.parent, ["rtfbench-gate", "nightly", "other-cpus"]),
        (
            "vendor.github-workflows",
            ROOT / ".github" / "workflows",
            ["gate", "nightly", "other-cpus"],
        ),
    ],
)
def test_files_follow_the_public_schemas(schema: str, folder: Path, names: list[str]) -> None:
    """GitHub and GitLab read them: the schemas are those of SchemaStore."""
    paths = [folder / f"{name}.yml" for name in names]
    subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *paths],
        check=True,
        timeout=60,
    )


def test_actions_are_pinned_by_commit() -> None:
    """A tag can be moved to other code; a commit cannot."""
    files = [ACTION / "action.yml", *(ROOT / ".github" / "workflows").glob("*.yml")]
    used = [word for file in files for word in re.findall(r"uses: (\S+)", file.read_text())]
    assert len(used) > 4
    assert [each for each in used if not re.search(r"@[0-9a-f]{40}$", each)] == []
