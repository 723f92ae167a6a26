"""The documentation names every public thing, and its examples run."""

import base64
import hashlib
import inspect
import json
import re
import tomllib
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from tests.conformance.render import render
from tests.http_artifacts import log_artifact
from tests.http_logging import LoggedRun, log_seeds, steps
from typer.main import get_command

import runlake
from runlake import errors
from runlake.cli.main import app

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
EXAMPLES = [page for page in PAGES if "```python\n" in page.read_text()]


PAGE = "media/html/page_0.html"
PAGE_CONTENT = b"<p>Step</p>"
PAGE_CELL = {
    "_type": "html-file",
    "path": PAGE,
    "size": len(PAGE_CONTENT),
    "sha256": hashlib.sha256(PAGE_CONTENT).hexdigest(),
}
# Stands for a run of the reader's own, on wandb.ai or a self-hosted server.
READERS_OWN = "my-team/my-project/1a2b3c4d"


def name_of(page):
    return str(page.relative_to(ROOT))


def reference(name):
    return (ROOT / "docs" / "reference" / name).read_text()


def commands(command, prefix=()):
    """Yield every command of the tree with the words that call it."""
    children = getattr(command, "commands", None)
    if children is None:
        yield prefix, command
        return
    context = command.make_context("runlake", [], resilient_parsing=True)
    for name in command.list_commands(context):
        yield from commands(command.get_command(context, name), (*prefix, name))


ALL_COMMANDS = dict(commands(get_command(app)))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_to_a_file(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_every_page_is_linked_from_the_index():
    docs = ROOT / "docs"
    linked = re.findall(r"\]\(([^)#]+\.md)", (docs / "index.md").read_text())
    pages = {str(page.relative_to(docs)) for page in docs.rglob("*.md")}
    assert pages - {"index.md"} - set(linked) == set()


@pytest.mark.parametrize("page", EXAMPLES, ids=name_of)
@pytest.mark.usefixtures("seeds")
def test_every_example_runs(page, backend, monkeypatch, spirals):
    monkeypatch.setenv("WANDB_BASE_URL", backend.base_url)
    monkeypatch.setenv("WANDB_API_KEY", backend.api_key)
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    namespace: dict[str, Any] = {}
    for block in blocks:
        code = block.replace("local/demo/two-spirals", spirals).replace(READERS_OWN, spirals)
        exec(compile(code, name_of(page), "exec"), namespace)


@pytest.fixture(scope="module")
def spirals(backend, tmp_path_factory):
    """A run like that of the tutorial."""
    rows = steps(0, 2000, acc=0.5)
    for step, row in enumerate(rows):
        row |= {"_runtime": step / 10, "_timestamp": 1.7e9 + step / 10}
    for row in rows[::25]:
        row["val"] = {"loss": row["loss"] * 2, "acc": 0.5}
    for row in rows[::500]:
        row["page"] = PAGE_CELL
    run = LoggedRun(backend, "two-spirals", "demo").log(*rows)
    events = [
        json.dumps({"_timestamp": 1.7e9 + second, "_runtime": second, "system.cpu": 25.0})
        for second in (15, 30)
    ]
    run.stream({"files": {"wandb-events.jsonl": {"offset": 0, "content": events}}})
    table = {"columns": ["label", "score"], "data": [["a", 0.5], ["b", 0.25]]}
    files = {"points.csv": b"x,y\n0,1\n", "guess.table.json": json.dumps(table).encode()}
    artifact_id = base64.b64decode(log_artifact(run, "spirals", files)).hex()
    reference = f"wandb-artifact://{artifact_id}/guess.table.json"
    run.summarize({"guesses": {"_type": "table-file", "artifact_path": reference}})
    path = run.finish().path
    upload_page(backend, path, tmp_path_factory.mktemp("page"))
    return path


@pytest.fixture(scope="module")
def seeds(backend):
    """Some runs of one project, with configs, like those of a sweep over seeds."""
    log_seeds(backend, "seeds", 4)


def upload_page(backend, path, directory):
    page = directory / PAGE
    page.parent.mkdir(parents=True)
    page.write_bytes(PAGE_CONTENT)
    settings = {"base_url": backend.base_url, "cache_dir": str(directory / "cache")}
    api = runlake.Api(settings, api_key=backend.api_key)
    api.run(path).upload_file(page, root=directory)


@pytest.mark.parametrize("words", ALL_COMMANDS, ids=" ".join)
def test_every_command_and_option_is_in_the_reference(words):
    text = reference("cli.md")
    assert f"`runlake {' '.join(words)}" in text
    for parameter in ALL_COMMANDS[words].params:
        for option in parameter.opts:
            assert not option.startswith("--") or f"`{option}`" in text, option


def test_every_command_has_the_options_that_the_reference_gives_it():
    table = reference("cli.md").partition("\n## Options\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`-.*?) \| (.*?) \| (.*) \|$", table, re.MULTILINE)
    assert len(rows) > 30
    for options, names, meaning in rows:
        said = re.findall(r"`(-[^`]+)`", options) + re.findall(r"short form `(-\w)`", meaning)
        for name in re.findall(r"`([a-z][a-z -]*)`", names):
            words = tuple(name.split())
            found = [ALL_COMMANDS[one].params for one in ALL_COMMANDS if one[: len(words)] == words]
            known = {option for params in found for one in params for option in one.opts}
            known |= {option for params in found for one in params for option in one.secondary_opts}
            assert not found or set(said) <= known, (name, said)


def test_every_environment_variable_is_in_the_reference():
    modules = Path(runlake.settings.__file__).parent.glob("*.py")
    source = "".join(module.read_text() for module in modules)
    variables = set(re.findall(r'[a-z]\("([A-Z_]{4,})"', source))
    assert len(variables) > 10
    assert {v for v in variables if f"`{v}`" not in reference("settings.md")} == set()


def test_every_error_is_in_the_reference():
    named = [n for n, kind in vars(errors).items() if inspect.isclass(kind) and n != "Any"]
    assert len(named) > 20
    assert {n for n in named if f"`{n}`" not in reference("errors.md")} == set()


def test_every_public_name_is_in_the_reference():
    text = reference("api.md")
    assert {name for name in runlake.__all__ if f"`{name}" not in text} == set()


DOCUMENTED = [
    runlake.Api,
    runlake.Run,
    runlake.Runs,
    runlake.Lake,
    runlake.LakeRuns,
    runlake.Project,
    runlake.Projects,
    runlake.Sweep,
    runlake.User,
    runlake.BranchPoint,
    runlake.StitchedRuns,
]


@pytest.mark.parametrize("kind", DOCUMENTED, ids=lambda kind: kind.__name__)
def test_every_public_member_is_in_the_reference(kind):
    text = reference("api.md")
    members = {name for name in dir(kind) if not name.startswith("_")}
    assert {name for name in members if not re.search(rf"`{name}[`(]", text)} == set()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_module_that_is_named_exists(page):
    named = re.findall(r"[`( ]((?:[a-z_]+/)+[a-z_]+\.py)\b", page.read_text())
    roots = (ROOT, ROOT / "src" / "runlake", ROOT / "tests", ROOT / "src" / "runlake" / "history")
    assert [name for name in named if not any((root / name).exists() for root in roots)] == []


def test_every_memory_of_a_process_is_in_the_architecture_page():
    known = (ROOT / "docs" / "explanation" / "architecture.md").read_text()
    source = ROOT / "src" / "runlake"
    makes = re.compile(r"LRUCache\(|WeakKeyDictionary\(|@lru_cache|@cache\b")
    keeping = [f for f in source.rglob("*.py") if makes.search(f.read_text())]
    modules = {f.relative_to(source).as_posix() for f in keeping if "server" not in f.parts}
    assert {one for one in modules if one.rpartition("/")[2] not in known} == set()


def test_the_compatibility_page_is_rendered_from_the_table():
    assert reference("compatibility.md") == render()


def test_every_dependency_has_its_reason():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    wanted = [*project["dependencies"], *chain.from_iterable(extras)]
    names = {re.split(r"[^\w-]", requirement)[0] for requirement in wanted} - {"runlake"}
    text = (ROOT / "docs" / "explanation" / "dependencies.md").read_text()
    assert {name for name in names if f"| `{name}` |" not in text} == set()


def test_the_readme_names_both_commands():
    text = (ROOT / "README.md").read_text()
    makefile = (ROOT / "Makefile").read_text()
    for target in ("demo", "test"):
        assert f"`make {target}`" in text
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
