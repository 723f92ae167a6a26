"""Backends whose schemas lack fields of the protocol: these are left out, or named in an error."""

import itertools
import re

import pytest
from tests.faults.older_server import older_server
from tests.http_artifacts import log_artifact
from tests.http_logging import LoggedRun, steps
from tests.server_process import running_server

import runlake
from runlake import errors
from runlake.backend.graphql.parse_document import parse_document
from runlake.history.reader import open_reading
from runlake.values import Question, RunPath

ROWS = steps(0, 250, lr=0.1)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Exports of 100 rows; a running run of 250."""
    with running_server(tmp_path_factory.mktemp("older"), export_rows=100) as running:
        run = LoggedRun(running, "run", "old").log(*ROWS).summarize({"loss": 0.5})
        log_artifact(run, "data", {"a.txt": b"a"})
        run.stream({"files": {"output.log": {"offset": 0, "content": ["one", "two"]}}})
        run.close()
        alternating = [{"_step": step, "ab"[step % 2]: step} for step in range(50)]
        LoggedRun(running, "run", "alternating").log(*alternating).close()
        yield running


@pytest.fixture(scope="module")
def proxy(server):
    with older_server(server) as older:
        yield older


@pytest.fixture
def older(proxy):
    proxy.has()
    return proxy


def open_api(older, server):
    return runlake.Api({"base_url": older.base_url}, api_key=server.api_key)


def listed(found):
    return [vars(one).get("_attrs", one) and repr(one) for one in found]


READINGS = {
    "rows": lambda api, path: list(api.run(path).scan_history()),
    "rows of a key": lambda api, path: list(api.run(path).scan_history(keys=["loss"])),
    "follow": lambda api, path: list(itertools.islice(api.run(path).follow(poll=0.05), 250)),
    "frame": lambda api, path: api.run(path).frame().to_dicts(),
    "arrow": lambda api, path: api.run(path).arrow().read_all().num_rows,
    "sql": lambda api, path: api.run(path).sql("select count(*) from history").fetchall(),
    "history": lambda api, path: api.run(path).history(samples=10, pandas=False),
    "best": lambda api, path: api.run(path).best("loss").step,
    "keys": lambda api, path: sorted(api.run(path).keys()["key"].to_list()),
    "explain": lambda api, path: bool(api.run(path).explain()),
    "run": lambda api, path: api.run(path).config | dict(api.run(path).summary),
    "state": lambda api, path: api.run(path).state,
    "last step": lambda api, path: api.run(path).lastHistoryStep,
    "files": lambda api, path: listed(api.run(path).files()),
    "console": lambda api, path: [line.content for line in api.run(path).console_logs()],
    "system": lambda api, path: api.run(path).history(stream="system", pandas=False),
    "runs": lambda api, path: listed(api.runs(path.rsplit("/", 1)[0])),
    "number of runs": lambda api, path: len(api.runs(path.rsplit("/", 1)[0])),
    "frame of runs": lambda api, path: api.runs(path.rsplit("/", 1)[0]).frame()["id"].to_list(),
    "histories": lambda api, path: len(api.runs(path.rsplit("/", 1)[0]).histories(samples=10)),
    "scan of runs": lambda api, path: api.runs(path.rsplit("/", 1)[0]).scan(["loss"]).collect(),
    "projects": lambda api, path: listed(api.projects(path.split("/")[0])),
    "project": lambda api, path: api.project("old", path.split("/")[0]).id,
    "viewer": lambda api, _: repr(api.viewer),
    "artifact": lambda api, path: api.artifact(f"{path.rsplit('/', 1)[0]}/data:v0").name,
    "artifact files": lambda api, path: [
        file.name for file in api.artifact(f"{path.rsplit('/', 1)[0]}/data:v0").files()
    ],
    "manifest": lambda api, path: sorted(
        api.artifact(f"{path.rsplit('/', 1)[0]}/data:v0").manifest.entries
    ),
    "artifact types": lambda api, path: listed(api.artifact_types(path.rsplit("/", 1)[0])),
    "collections": lambda api, path: listed(
        api.artifact_type("dataset", path.rsplit("/", 1)[0]).collections()
    ),
    "versions": lambda api, path: listed(
        api.artifacts("dataset", f"{path.rsplit('/', 1)[0]}/data")
    ),
    "logged": lambda api, path: listed(api.run(path).logged_artifacts()),
    "logged by": lambda api, path: repr(
        api.artifact(f"{path.rsplit('/', 1)[0]}/data:v0").logged_by()
    ),
}
# What stays the same whatever is missing, unless the error says that it cannot be answered.
ALWAYS_THE_SAME = {
    *("rows", "rows of a key", "follow", "frame", "arrow", "sql", "best", "keys"),
    "number of runs",
}


def answer(reading, older, server):
    return str(READINGS[reading](open_api(older, server), f"{server.entity}/old/run"))


def asked_fields(text):
    return {
        f"{owner}.{one.name}"
        for owner, one in parse_document(text).placed()
        if owner and not one.name.startswith(("...", "__"))
    }


@pytest.fixture(scope="module")
def whole(server, proxy):
    """For each read: its answer with the full schema, and the fields that it requests."""
    found = {}
    for reading in READINGS:
        proxy.has()
        told = answer(reading, proxy, server)
        found[reading] = told, set().union(*map(asked_fields, proxy.documents))
    return found


def test_a_backend_without_exports_is_read_live_after_one_refusal(older, server):
    older.lacks("Run.parquetHistory")
    api = open_api(older, server)
    run = api.run(f"{server.entity}/old/run")
    assert [row["loss"] for row in run.scan_history()] == [row["loss"] for row in ROWS]
    assert older.n_refused == 1
    assert run.frame().height == 250
    assert older.n_refused == 1


@pytest.mark.filterwarnings("ignore")
def test_many_fields_may_be_missing_at_once(older, server, whole):
    older.lacks(
        *("Run.parquetHistory", "Run.sampledHistory", "Run.historyKeys", "Run.historyLineCount"),
        *("Run.systemMetrics", "Run.heartbeatAt", "Run.user", "Run.projectId", "Project.runCount"),
        *("Project.internalId", "Run.fileCount", "File.directUrl", "File.md5", "File.updatedAt"),
    )
    for reading in sorted(ALWAYS_THE_SAME):
        assert answer(reading, older, server) == whole[reading][0]
    assert answer("files", older, server)


def test_a_plot_of_a_range_of_steps_has_the_points_of_the_range(older, server):
    older.lacks("Run.parquetHistory")
    run = open_api(older, server).run(f"{server.entity}/old/run")
    chart = run.plot("loss", min_step=200)
    assert chart.curves[0].x.tolist() == list(range(200, 250))
    assert chart.remarks == ["50 points"]


@pytest.mark.parametrize("keys", [["_step", "a"], ["_step", "a", "b"]])
def test_a_sample_by_any_key_has_the_rows_of_each_key(older, server, keys):
    older.lacks("Run.parquetHistory")
    client = open_api(older, server)._client
    question = Question.from_arguments(keys, "any")
    reading = open_reading(client, RunPath(server.entity, "alternating", "run"), question)
    frame, n_rows, _ = reading.sampled_frame(500, keys)
    assert frame.equals(reading.frame())
    assert reading.sample(500, keys).rows == list(reading.iter_rows(500))
    assert n_rows >= frame.height > 0


@pytest.mark.parametrize("is_exported", [True, False])
def test_keys_are_found_in_live_rows_where_the_backend_names_none(older, server, is_exported):
    path = f"{server.entity}/old/run"
    facts = ["key", "kind", "count", "first_step", "last_step"]
    named = open_api(older, server).run(path).keys().select(facts)
    older.lacks("Run.historyKeys", *([] if is_exported else ["Run.parquetHistory"]))
    assert open_api(older, server).run(path).keys().select(facts).rows() == named.rows()


WORDS = {
    "graphql-js": str,
    "with a suggestion": lambda text: f'{text} Did you mean "history" or "historyKeys"?',
    "graphql-ruby": lambda text: re.sub(
        r"Cannot query field '(\w+)' on type '(\w+)'",
        r"Field '\1' doesn't exist on type '\2'",
        text,
    ),
    "graphql-java": lambda text: re.sub(
        r"Cannot query field '(\w+)' on type '(\w+)'",
        r"Validation error (FieldUndefined@[run/\1]) : Field '\1' in type '\2' is undefined",
        text,
    ),
    "gqlgen": lambda text: text.replace("'", '"'),
    "hasura": lambda text: re.sub(
        r"Cannot query field '(\w+)' on type '(\w+)'.*", r"field '\1' not found in type: '\2'", text
    ),
    "juniper": lambda text: re.sub(
        r"Cannot query field '(\w+)' on type '(\w+)'.*", r'Unknown field "\1" on type "\2"', text
    ),
    "hot chocolate": lambda text: re.sub(
        r"Cannot query field '(\w+)' on type '(\w+)'.*",
        r"The field `\1` does not exist on the type `\2`.",
        text,
    ),
    "other type names": lambda text: text.replace("'Run'", "'RunType'"),
}


@pytest.mark.parametrize(
    ("words", "status"), [*((w, 200) for w in WORDS), ("gqlgen", 422), ("graphql-js", 400)]
)
def test_refusals_are_understood_in_the_words_of_each_server(older, server, words, status):
    older.lacks("Run.parquetHistory", "Run.systemMetrics")
    older.status, older.word = status, WORDS[words]
    run = open_api(older, server).run(f"{server.entity}/old/run")
    assert len(list(run.scan_history())) == 250


def test_an_argument_that_asks_for_nothing_is_left_out(older, server):
    older.lacks("Run.files.pattern", "Run.files.names", "File.url.upload")
    run = open_api(older, server).run(f"{server.entity}/old/run")
    assert list(run.files()) is not None
    with pytest.raises(errors.UnsupportedByBackend, match="argument 'names' of 'files'"):
        run.file("a.txt")


def test_older_servers_call_large_integers_int(older, server):
    older.lacks("Run.parquetHistory")
    older.calls_large_integers_int()
    run = open_api(older, server).run(f"{server.entity}/old/run")
    assert len(list(run.scan_history())) == 250


def test_a_change_that_needs_a_missing_field_is_an_error(older, server):
    older.lacks("UpsertBucketInput.notes")
    run = open_api(older, server).run(f"{server.entity}/old/run")
    run.notes = None
    run.update()
    run.notes = "kept?"
    with pytest.raises(errors.UnsupportedByBackend, match="input field 'notes'"):
        run.update()


def test_a_refusal_for_another_reason_is_reported(older, server):
    older.lacks("Query.project")
    with pytest.raises(errors.UnsupportedByBackend, match=r"cannot answer Run: .*'project'"):
        open_api(older, server).run(f"{server.entity}/old/run")


def test_a_missing_field_is_named_when_it_is_read(older, server):
    older.lacks("Run.summaryMetrics", "Run.state", "Run.heartbeatAt", "Project.id")
    api = open_api(older, server)
    run = api.run(f"{server.entity}/old/run")
    assert run.config == {}
    assert len(list(run.scan_history())) == 250
    reads = {
        "summaryMetrics": [lambda: run.summary, run.update],
        "state": [lambda: run.state],
        "id": [lambda: api.project("old", server.entity).id],
    }
    for field, calls in reads.items():
        for call in calls:
            with pytest.raises(errors.UnsupportedByBackend, match=f"lacks the field '{field}'"):
                call()
    with pytest.raises(AttributeError, match="lacks the field 'heartbeatAt' of 'Run'"):
        _ = run.heartbeat_at
    older.has()
    assert dict(open_api(older, server).run(f"{server.entity}/old/run").summary) == {"loss": 0.5}


def test_lists_and_exports_that_cannot_be_named_are_not_empty(older, server):
    older.lacks("ParquetHistory.parquetUrls", "Project.runs", "Run.files")
    api = open_api(older, server)
    run = api.run(f"{server.entity}/old/run")
    assert len(list(run.scan_history())) == run.frame().height == 250
    with pytest.raises(errors.UnsupportedByBackend, match="'runs'"):
        list(api.runs(f"{server.entity}/old"))
    with pytest.raises(errors.UnsupportedByBackend, match="'files'"):
        list(run.files())
