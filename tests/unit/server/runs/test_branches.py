import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.thorough import n_examples

from runlake.server.exports.compressor import LineCompressor
from runlake.server.exports.exporter import Exporter
from runlake.server.refused import Refused
from runlake.server.runs.branches import BranchPoint, read_branch_point
from runlake.server.runs.lines import LAST_STEP
from runlake.server.runs.runs import Limits, RunStore
from runlake.server.store.database import Database
from runlake.server.store.objects import Storage

STEPS = st.integers(-1, 12)
# Each commit is flushed to the disk.
FEW = settings(max_examples=n_examples(8, 300))


class Backend:
    """A store of runs in one directory, whose exports are written when a test asks for them."""

    def __init__(self, folder):
        self.database = Database(folder / "runlake.sqlite")
        self.storage = Storage(self.database, folder / "storage", "", 1.0)
        self.exporter = Exporter(self.database, self.storage, 4)
        self.runs = RunStore(self.database, self.storage, self, Limits(4))

    def add(self, run_id):
        """Export nothing yet."""

    def wait(self, run_id, is_done, seconds):
        """Export nothing yet."""

    def start(self, name, *, parent=None, step=None):
        sent = {"name": name, "modelName": "p", "host": "h", "config": "{}"}
        if parent is not None:
            point = {"branch_point": {"run_id": parent, "step": step}}
            sent["config"] = json.dumps({"_wandb": {"value": point}})
        return self.runs.upsert("anna", sent)[0]

    def find(self, name):
        return self.runs.find("anna", "p", name)

    def log(self, name, steps, value, *, is_complete=False):
        run = self.find(name)
        lines = [json.dumps({"_step": step, "x": value}) for step in steps]
        files = {"wandb-history.jsonl": {"offset": run["line_count"], "content": lines}}
        self.runs.stream(run, {"files": files, "complete": is_complete})

    def export(self, name):
        while self.exporter.export_next(self.find(name)["id"]):
            pass

    def compress(self, name, *, drops):
        compressor = LineCompressor(self.database, self.storage, drops=drops)
        while compressor.compress_next(self.find(name)["id"]):
            pass

    def rows(self, name, *, is_live=False):
        rows = self.runs.history.between(self.find(name), 0, 1 << 40, is_live=is_live)
        return [(row["_step"], row["x"]) for row in rows]


@pytest.fixture
def backend(tmp_path):
    return Backend(tmp_path)


@pytest.mark.parametrize(
    "internal",
    [
        {},
        {"branch_point": None},
        {"branch_point": {"run_id": 5, "step": 1}},
        {"branch_point": {"step": 1}},
    ],
    ids=str,
)
def test_a_config_without_a_run_to_continue_has_no_branch_point(internal):
    assert read_branch_point(json.dumps({"_wandb": {"value": internal}})) is None


@pytest.mark.parametrize(
    "step", ["true", "null", '"5"', "NaN", "Infinity", "-1.5", "-2", f"-{10**400}"]
)
def test_a_step_that_is_no_step_is_refused(step):
    config = f'{{"_wandb": {{"value": {{"branch_point": {{"run_id": "r", "step": {step}}}}}}}}}'
    with pytest.raises(Refused, match="cannot continue after step"):
        read_branch_point(config)


def test_a_step_of_any_length_is_a_step():
    config = f'{{"_wandb": {{"value": {{"branch_point": {{"run_id": "r", "step": {10**400}}}}}}}}}'
    assert read_branch_point(config) == BranchPoint("r", LAST_STEP)


def test_a_fork_that_fails_half_way_leaves_neither_run_nor_rows(backend, monkeypatch):
    backend.start("root")
    backend.log("root", range(9), 1)

    def fail(*_, **__):
        raise RuntimeError("killed")

    monkeypatch.setattr(backend.runs._branches, "complete_config", fail)
    with pytest.raises(RuntimeError, match="killed"):
        backend.start("fork", parent="root", step=5)
    assert backend.find("fork") is None
    assert backend.database.row("SELECT count(DISTINCT run_id) AS n FROM lines")["n"] == 1
    assert backend.database.rows("SELECT * FROM branch_points") == []


def test_a_parent_that_is_rewound_during_the_fork_is_not_copied_in_part(backend, monkeypatch):
    backend.start("root")
    backend.log("root", range(9), 1)
    find_or_create = backend.runs._find_or_create

    def rewind_first(connection, *given):
        connection.execute("DELETE FROM lines WHERE step > 2")
        return find_or_create(connection, *given)

    monkeypatch.setattr(backend.runs, "_find_or_create", rewind_first)
    with pytest.raises(Refused, match="'root' was changed while it was forked"):
        backend.start("fork", parent="root", step=5)


def test_rows_that_were_logged_out_of_order_survive_a_rewind(backend):
    backend.start("r")
    backend.log("r", [0, 5, 1, 6, 2], 1)
    backend.runs.rewind(backend.find("r"), 2)
    assert backend.rows("r") == [(0, 1), (1, 1), (2, 1)]
    backend.log("r", [3], 2, is_complete=True)
    assert backend.rows("r") == [(0, 1), (1, 1), (2, 1), (3, 2)]


def test_a_deleted_run_leaves_no_branch_point(backend):
    backend.start("root")
    backend.log("root", range(3), 1)
    backend.start("fork", parent="root", step=1)
    backend.runs.delete(backend.find("fork")["id"])
    assert backend.database.rows("SELECT * FROM branch_points") == []


KINDS = ["log", "export", "compress", "drop", "finish", "fork", "rewind", "restart"]
ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(KINDS),
        st.integers(0, 3),
        st.integers(0, 3),
        STEPS,
    ),
    min_size=4,
    max_size=14,
)


@given(ACTIONS)
@FEW
def test_any_chain_of_forks_and_rewinds_is_that_of_a_simple_model(tmp_path_factory, actions):
    backend = Backend(tmp_path_factory.mktemp("chain"))
    curves: dict[str, dict[int, int]] = {}
    for number, (kind, place, other, step) in enumerate(actions):
        name, parent = f"r{place}", f"r{other}"
        held = curves.get(name)
        if kind == "restart" or held is None:
            backend.start(name)
            curves[name] = {}
        elif kind in {"log", "finish"}:
            new = range(max(held, default=-1) + 1, max(held, default=-1) + 4)
            backend.log(name, new, number, is_complete=kind == "finish")
            held |= dict.fromkeys(new, number)
        elif kind == "export":
            backend.export(name)
        elif kind == "fork" and name == parent:
            continue
        elif kind in {"compress", "drop"}:
            backend.compress(name, drops=kind == "drop")
        elif (kind == "fork" and parent not in curves) or step > max(
            curves.get(parent if kind == "fork" else name, ()), default=-1
        ):
            with pytest.raises(Refused):
                branch(backend, kind, name, parent, step)
        else:
            branch(backend, kind, name, parent, step)
            source = held if kind == "rewind" else curves[parent]
            curves[name] = {at: value for at, value in source.items() if at <= step}
    for name, curve in curves.items():
        run = backend.find(name)
        assert backend.rows(name) == sorted(curve.items())
        assert run["last_step"] == max(curve, default=-1)
        assert run["line_count"] == len(curve)
        facts = json.loads(run["key_facts"]).get("x", {"types": {"number": 0}})
        assert facts["types"]["number"] == len(curve)
        live = backend.rows(name, is_live=True)
        assert live == sorted(curve.items())[run["exported_count"] :]
        n_bytes = sum(len(line) for _, line in backend.runs.lines(run["id"], "history"))
        assert run["live_bytes"] <= n_bytes


def branch(backend, kind, name, parent, step):
    if kind == "fork":
        backend.start(name, parent=parent, step=step)
    else:
        backend.runs.rewind(backend.find(name), step)
