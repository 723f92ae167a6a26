"""Backends whose answers do not have the shape that the query requires."""

import json

import pytest
from tests.faults.fault_server import API_KEY, RUN_PATH, FaultServer
from tests.faults.parquet import export_bytes
from tests.faults.raw_host import HEAD, RawHost

import runlake
from runlake import errors
from runlake.backend.graphql import artifact_documents, artifact_mutations, documents
from runlake.backend.graphql.parse_document import parse_document
from runlake.backend.graphql.shapes import EITHER, OBJECTS
from runlake.backend.graphql.shapes import LISTS as SHAPED_LISTS
from runlake.errors import ProtocolError

PROJECT = RUN_PATH.rpartition("/")[0]
LEAVES = {
    "name": "run",
    "number": 1,
    "state": "finished",
    "history": ['{"_step": 1}'],
    "historyKeys": {"lastStep": 10, "keys": {"_step": {"typeCounts": [{"type": "number"}]}}},
    "parquetUrls": [],
    "liveData": [],
}


class Backend(RawHost):
    """Answers every document with the requested fields."""

    def __init__(self):
        super().__init__(self._reply)
        self.leaves = LEAVES

    def _reply(self, request):
        asked = json.loads(request.partition(b"\r\n\r\n")[2])
        selections = parse_document(asked["query"]).selections
        content = json.dumps({"data": self._object(selections)}).encode()
        yield HEAD + f"Content-Length: {len(content)}\r\n\r\n".encode() + content

    def _object(self, selections):
        found = {}
        for selection in selections:
            if selection.name in self.leaves or not selection.children:
                found[selection.alias] = self.leaves.get(selection.name)
            elif selection.name == "edges":
                found["edges"] = [self._object(selection.children)]
            else:
                found[selection.alias] = self._object(selection.children)
        return found


@pytest.fixture
def backend():
    with Backend() as backend:
        yield backend


@pytest.fixture
def api(backend):
    return runlake.Api({"base_url": backend.base_url}, api_key=API_KEY)


def test_every_nested_field_of_every_document_has_its_shape_checked():
    texts = {
        text
        for module in (documents, artifact_documents, artifact_mutations)
        for name, text in vars(module).items()
        if name.isupper() and isinstance(text, str) and text.lstrip()[:5] in {"query", "mutat"}
    }
    placed = [one for text in texts for _, one in parse_document(text).placed()]
    objects = {one.alias for one in placed if one.children and not one.name.startswith("...")}
    leaves = {one.alias for one in placed if not one.children}
    # Of several shapes, by what they are asked of; whoever reads them checks them.
    several = EITHER | {"entity", "type"}
    assert objects - several <= OBJECTS | SHAPED_LISTS
    assert not leaves & (OBJECTS | SHAPED_LISTS)


@pytest.mark.parametrize("line", ["[" * 100_000, '{"a":' * 100_000, '{"_step": 1, "a": nul}', "7"])
def test_a_live_row_that_is_no_object_is_an_error_that_names_the_run(backend, api, line):
    backend.leaves = {**LEAVES, "history": ['{"_step": 0}', line]}
    with pytest.raises(ProtocolError, match=RUN_PATH):
        list(api.run(RUN_PATH).beta_scan_history())


def test_a_live_row_with_an_integer_of_five_thousand_digits_is_read(backend, api):
    backend.leaves = {**LEAVES, "history": ['{"_step": 10, "a": %s}' % ("9" * 5000)]}
    rows = list(api.run(RUN_PATH).beta_scan_history())
    assert rows == [{"_step": 10, "a": float("inf")}]


@pytest.mark.parametrize("wrong", ["x", 5, True, [1], [[]]], ids=repr)
@pytest.mark.parametrize("field", ["project", "run", "runs", "pageInfo", "node"])
def test_a_wrong_shape_is_an_error_that_names_what_was_asked(backend, api, field, wrong):
    backend.leaves = {**LEAVES, field: wrong}
    with pytest.raises(ProtocolError, match=f"of '{PROJECT}.*{field} is of type"):
        list(api.run(RUN_PATH).beta_scan_history() if field == "run" else api.runs(PROJECT))


@pytest.mark.parametrize("wrong", [None, {}, "x", [1]], ids=repr)
def test_a_console_line_of_a_wrong_shape_is_an_error_that_names_the_run(backend, api, wrong):
    run = api.run(RUN_PATH)
    backend.leaves = {**LEAVES, "node": {"number": wrong, "line": "x"}}
    with pytest.raises(ProtocolError, match=RUN_PATH):
        list(run.console_logs())


@pytest.mark.parametrize("field", ["files", "edges", "pageInfo", "node"])
@pytest.mark.parametrize("wrong", ["x", 5, [1]], ids=repr)
def test_a_list_of_files_of_a_wrong_shape_is_an_error_that_names_the_run(
    backend, api, field, wrong
):
    run = api.run(RUN_PATH)
    backend.leaves = {**LEAVES, field: wrong}
    for read in (lambda: list(run.files()), lambda: run.metadata, lambda: run.file("a")):
        with pytest.raises(ProtocolError, match=RUN_PATH):
            read()


@pytest.mark.parametrize(
    "entry",
    [
        [1],
        "x",
        7,
        None,
        {"typeCounts": 3},
        {"typeCounts": [{"count": "many"}]},
        {"typeCounts": [{"count": 2**70}]},
    ],
)
def test_an_odd_description_of_a_key_affects_only_that_description(faulty, recwarn, entry):
    faulty.offer(a=export_bytes(n_rows=10))
    good = {"typeCounts": [{"type": "number", "count": 10}]}
    faulty.history_keys["keys"] = {"odd": entry, "loss": good}
    run = runlake.Api({"base_url": faulty.base_url}, api_key=API_KEY).run(RUN_PATH)
    assert len(list(run.beta_scan_history())) == run.frame().height == 10
    assert len(list(run.follow(poll=0.05))) == 10
    assert run.keys()["key"].to_list() == ["loss"]
    found = [one for one in recwarn if one.category is errors.OddAnswerWarning]
    assert len(found) == 3  # A line of the user is warned once, hence of rows and frame together.
    assert "'odd'" in str(found[0].message)


BIG = 2**70


@pytest.fixture(scope="module")
def exported():
    with FaultServer() as server:
        server.offer(a=export_bytes(n_rows=5))
        yield server


def readings(server):
    """Return a call for each way to read a run, or all runs, of a server."""
    api = runlake.Api({"base_url": server.base_url}, api_key=API_KEY)
    run = api.run(RUN_PATH)
    return [
        lambda: list(run.beta_scan_history()),
        run.frame,
        lambda: run.sql("SELECT * FROM history").fetchall(),
        run.keys,
        lambda: run.best("loss"),
        lambda: list(run.follow(poll=0.01)),
        lambda: api.runs(PROJECT).scan(["loss"]).collect(),
    ]


@pytest.mark.parametrize(
    "history_keys",
    [{"lastStep": BIG}, {"lastStep": -BIG}],
    ids=["last step", "negative last step"],
)
def test_an_integer_of_more_than_64_bits_is_an_error_of_every_reader(
    exported, monkeypatch, history_keys
):
    monkeypatch.setattr(exported, "history_keys", history_keys)
    for read in readings(exported):
        with pytest.raises(ProtocolError, match="64 bits"):
            read()


@pytest.mark.parametrize(
    ("field", "odd"),
    [
        *[("historyLineCount", odd) for odd in (BIG, -BIG, [1], "x", 1e300)],
        *[(field, odd) for field in ("state", "heartbeatAt") for odd in (["x"], 5, "\ud800")],
    ],
)
def test_an_odd_fact_about_a_run_costs_no_reader_its_rows(exported, monkeypatch, field, odd):
    monkeypatch.setitem(exported.run, field, odd)
    for read in readings(exported):
        read()
