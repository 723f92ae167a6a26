"""What the command line prints: for people, for pipes, for scripts, and when it fails."""

import csv
import io
import json
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.command_shell import run_command
from tests.http_logging import UPSERT, LoggedRun, steps
from tests.server_process import bare_environment, client_environment

OSC = "a\x1b]52;c;aGk=\x07b\x9b31m\u202ec\nd"
MARKUP = "[red]x[/red][link=file:///etc/passwd]y[/link]"
HISTOGRAM = {"_type": "histogram", "values": [1] * 64, "bins": [n / 7 for n in range(65)]}
TOKENS = [float("nan"), float("inf"), float("-inf"), 0.5, None]
STEERS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class Shell(NamedTuple):
    """Runs command lines in this process; a call returns exit code and outputs."""

    directory: Path
    environment: dict[str, str]

    def __call__(self, *words, **options):
        return run_command(self.environment, *words, **options)


class Terminal(io.TextIOWrapper):
    def isatty(self):
        return True


@pytest.fixture(scope="module")
def shell(backend, tmp_path_factory):
    """Return a function that runs a command line in this process: exit code and outputs."""
    directory = tmp_path_factory.mktemp("shell")
    environment = client_environment(backend, directory)

    return Shell(directory, environment)


@pytest.fixture(scope="module")
def odd(backend):
    """A run whose names, keys and cells are hostile, or hard to print."""
    run = LoggedRun(backend, "odd", "hostile")
    upsert = UPSERT.replace("$program: String", "$program: String, $display: String").replace(
        "jobProgram: $program", "jobProgram: $program, displayName: $display"
    )
    names = {"name": "odd", "project": "hostile", "entity": backend.entity, "program": "t"}
    run.graphql(upsert, names | {"display": f"{MARKUP}{OSC}\u65e5\u672c"})
    rows: list[dict[str, object]] = [
        {"_step": n, "f": value, "mixed": mixed, "text": text, "nested": {"deep": [value]}}
        for n, (value, mixed, text) in enumerate(
            zip(TOKENS, [1, "1", "x", 2.5, None], ["", None, "NaN", OSC, MARKUP], strict=True)
        )
    ]
    rows.append({"_step": 5, "big": 2**60 + 1, "hist": HISTOGRAM, OSC: 1, MARKUP: 2})
    run.log(*rows)
    run.summarize({"hist": HISTOGRAM, OSC: OSC, "nan": float("nan"), "list": [1, [2]]})
    return run.finish().path


# --- what is printed -----------------------------------------------------------------------------


def test_a_pipe_gets_every_cell_whole_and_unpadded(shell, odd):
    shown = shell("show", odd).stdout
    assert "summary.hist\thistogram of 64 bins\n" in shown
    assert "summary.list\t[1, [2]]\n" in shown
    assert max(map(len, shown.split("\n"))) < 300
    assert shell("pull", odd).returncode == 0
    listed = shell("cache", "list").stdout.split("\n")
    assert listed[0].split("\t")[0] == "run"
    assert odd in [line.split("\t")[0] for line in listed]
    for output in (shown, *listed):
        assert not re.search(r"[ \u2500-\u257f]$|\u2026", output, re.MULTILINE)


def test_a_path_with_blanks_is_read_and_shown_as_it_is_typed(backend, shell):
    path = LoggedRun(backend, "run \u00fc", "my project").log(*steps(0, 2)).finish().path
    assert shell("show", path).stdout.startswith(f"run\t{path}\n")
    assert json.loads(shell("show", path, "--json").stdout)["run"] == path
    for words in (["--keys", "loss"], ["SELECT _step, loss FROM history ORDER BY 1"]):
        assert shell("query", path, *words).stdout == "_step\tloss\n0\t1.0\n1\t0.5\n"


def test_a_pipe_gets_every_row_of_a_table(backend, shell):
    path = LoggedRun(backend, "many", "hostile").log(*steps(0, 50)).finish().path
    lines = shell("query", path, "--keys", "loss").stdout.splitlines()
    assert lines[0] == "_step\tloss"
    assert lines[3] == "2\t0.3333333333333333"
    assert len(lines) == 51


def test_json_writes_non_finite_numbers_as_the_protocol_does(shell, odd):
    done = shell("query", odd, "--format", "json")
    assert done.stdout.isascii()
    rows = [json.loads(line, parse_constant=pytest.fail) for line in done.stdout.splitlines()]
    assert [row["f"] for row in rows[:5]] == ["NaN", "Infinity", "-Infinity", 0.5, None]
    assert [row["mixed"] for row in rows[:5]] == [1, "1", "x", 2.5, None]
    assert [row["text"] for row in rows[:5]] == ["", None, "NaN", OSC, MARKUP]
    assert rows[0]["nested.deep"] == ["NaN"]
    assert (rows[5]["big"], rows[5][OSC]) == (2**60 + 1, 1)
    assert json.loads(shell("show", odd, "--json").stdout)["summary"]["nan"] == "NaN"


def test_csv_tells_null_empty_text_and_nan_apart(shell, odd):
    text = shell("query", odd, "--keys", "f,text,mixed", "--how", "any", "--format", "csv").stdout
    assert text.startswith('_step,f,text,mixed\n0,NaN,"",1.0\n1,Infinity,,1\n2,-Infinity,NaN,x\n')
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[4][2] == OSC


def test_values_of_sql_have_the_same_spelling(shell, odd):
    sql = (
        "SELECT sum(_step) + 170141183460469231731687303715884105 AS big, 1.50::DECIMAL(9,2) AS d, "
        "'ab'::BLOB AS bytes, DATE '2020-01-02' AS day, INTERVAL 1 DAY AS span, max(f) AS top, "
        "{'a': 'nan'::DOUBLE} AS s, 1 AS big FROM history"
    )
    row = json.loads(shell("query", odd, sql, "--format", "json").stdout)
    assert row == {
        "big": 170141183460469231731687303715884120,
        "d": 1.5,
        "bytes": "YWI=",
        "day": "2020-01-02",
        "span": "1 day",
        "top": "NaN",
        "s": {"a": "NaN"},
        "big_1": 1,
    }
    (head, cells) = csv.reader(io.StringIO(shell("query", odd, sql, "--format", "csv").stdout))
    assert cells[:3] == ["170141183460469231731687303715884120", "1.5", "YWI="]
    assert (head[-1], cells[5:7]) == ("big_1", ["NaN", '{"a": "NaN"}'])


def test_nothing_that_others_named_steers_a_terminal(shell, odd):
    for words in (
        ["show", odd],
        ["query", odd],
        ["query", odd, "--format", "csv"],
        ["query", odd, "--format", "json"],
        ["query", odd, 'SELECT "f" AS "a\x1b]0;x\x07" FROM history'],
        ["query", odd, "--keys", "\x1b]52;c;aGk=\x07"],
        ["show", f"{odd}\x1b[2J"],
        ["nope\x1b[2J"],
    ):
        done = shell(*words, stream=Terminal)
        shown = done.stdout + done.stderr
        assert shown
        assert not STEERS.search(re.sub(r"\x1b\[[0-9;]*m", "", shown)), (words, shown)
        assert "\x1b]8" not in shown


def test_markup_in_names_is_text(shell, odd, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    assert MARKUP in shell("show", odd, stream=Terminal).stdout


def test_a_terminal_wraps_cells_that_are_too_wide(shell, odd, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    shown = shell("show", odd, stream=Terminal).stdout
    assert max(map(len, shown.split("\n"))) <= 40
    assert "\u2026" not in shown


def test_a_terminal_shows_the_columns_that_fit_and_names_others(backend, shell, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    keys = {f"metric_{n}": n / 7 for n in range(9)}
    path = LoggedRun(backend, "wide", "wide").log(*steps(0, 3, **keys)).finish().path
    wanted = ",".join(keys)
    shown = shell("query", path, "--keys", wanted, stream=Terminal).stdout
    table, _, last = re.sub(r"\x1b\[[0-9;]*m", "", shown).rstrip("\n").rpartition("\n")
    header = table.splitlines()[1].split()
    assert header == ["_step", *list(keys)[: len(header) - 1]]
    assert 2 < len(header) < 10
    assert max(map(len, table.split("\n"))) <= 60
    assert re.match(rf"{len(header)} of 10 columns; not shown: {list(keys)[len(header) - 1]}", last)
    assert shell("query", path, "--keys", wanted).stdout.splitlines()[0].split("\t")[1:] == [*keys]


def test_any_name_is_printed_to_an_ascii_stdout(shell, odd):
    for words in (["show", odd], ["query", odd], ["query", odd, "--format", "csv"]):
        done = shell(*words, encoding="utf-8" if "csv" in words else "ascii")
        assert (done.returncode, done.stderr) == (0, ""), words
    command = [sys.executable, "-m", "runlake", "show", odd]
    ascii_only = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    shown = subprocess.check_output(command, env=shell.environment | ascii_only)
    assert rb"\u65e5\u672c" in shown


def test_a_warning_is_one_line_without_a_place_in_our_source(shell, odd):
    done = shell("query", odd, "--keys", "lost")
    assert done.returncode == 0
    assert re.fullmatch(r"Warning: [^\n]*lost[^\n]*\n", done.stderr)


def test_names_in_json_are_words(shell, odd):
    for words in (["pull", odd], ["show", odd], ["cache", "verify"], ["cache", "repair"]):
        facts = json.loads(shell(*words, "--json").stdout)
        assert [name for name in facts if not re.fullmatch("[a-z_]+", name)] == []
    assert "damaged\tnone\n" in shell("cache", "verify").stdout


# --- files ---------------------------------------------------------------------------------------


def test_a_failing_query_leaves_an_old_file_as_it_was(shell, odd, tmp_path):
    output = tmp_path / "out.csv"
    output.write_text("old")
    sql = "SELECT CASE WHEN _step = 5 THEN error('late') ELSE 'x' END FROM history ORDER BY _step"
    done = shell("query", odd, sql, "--output", output)
    assert (done.returncode, output.read_text()) == (2, "old")
    assert shell("query", odd, "SELECT 1 AS one", "--output", output).returncode == 0
    assert output.read_text() == "one\n1\n"
    assert [file.name for file in tmp_path.iterdir() if file.suffix == ".part"] == []


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("a.parquet", b"PAR1"),
        ("a.JSON", b'{"one": 1}\n'),
        ("a.jsonl", b'{"one": 1}\n'),
        ("a.csv", b"one\n1\n"),
        ("a.txt", b"one\n1\n"),
    ],
)
def test_a_file_has_the_format_that_its_name_ends_with(shell, odd, tmp_path, name, start):
    output = tmp_path / name
    assert shell("query", odd, "SELECT 1 AS one", "-o", output).returncode == 0
    assert output.read_bytes().startswith(start)


def test_a_stated_format_wins_over_the_ending(shell, odd, tmp_path):
    output = tmp_path / "a.parquet"
    done = shell("query", odd, "SELECT 1 AS one", "-o", output, "--format", "json")
    assert (done.returncode, output.read_text()) == (0, '{"one": 1}\n')


def test_an_output_that_is_no_regular_file_is_written_directly(shell, odd):
    command = [sys.executable, "-m", "runlake", "query", odd, "SELECT 1 AS one"]
    command += ["--format", "csv", "--output", "/dev/stdout"]
    assert subprocess.check_output(command, env=shell.environment) == b"one\n1\n"


def test_a_full_disk_is_an_error_and_no_traceback(shell, odd):
    command = [sys.executable, "-m", "runlake", "query", odd, "--format", "csv"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command,
            env=shell.environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "No space left" in done.stderr


# --- words and exit codes ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["query", "a/b/c", "--limit", "-1"], "'--limit'"),
        (["query", "a/b/c", "--format", "nope"], "'nope' is not one of"),
        (["query", "a/b/c", "--how", "some"], "'--how'"),
        (["nope"], "No such command 'nope'"),
        (["cache", "prune", "--max-bytes", "x"], "--max-bytes must be"),
        (["cache", "pin", "a/b/c/d/e"], "Invalid path"),
        (["server", "key", "new"], "Missing argument 'USER'"),
        (["serve", "--port", "65536"], "'--port'"),
        (["push", "backend"], "'backend' is not an http(s) URL"),
        (["--show-completion", "tcsh"], "'tcsh' is not one of"),
    ],
    ids=str,
)
def test_wrong_usage_is_one_sentence_and_exit_code_2(shell, words, said):
    done = shell(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert re.fullmatch(r"Error: [^\n]+\n(Try 'runlake[^\n]*--help' for help\.\n)?", done.stderr)
    assert "Value error" not in done.stderr


def test_debug_stands_anywhere_and_h_is_help(shell):
    for words in (["--debug", "show", "x"], ["show", "--debug", "x"], ["show", "x", "--debug"]):
        done = shell(*words)
        assert "Traceback" in done.stderr
        assert done.returncode == 2
    assert "Traceback" not in shell("show", "x").stderr
    for words in (["-h"], ["query", "-h"], ["server", "key", "-h"], ["cache", "list", "-h"]):
        done = shell(*words)
        assert (done.returncode, done.stdout.startswith("Usage: runlake")) == (0, True)


def test_a_project_in_place_of_a_run_is_an_error_that_lists_its_runs(backend, shell, odd):
    for project in (
        f"{backend.entity}/hostile",
        f"{backend.base_url}/{backend.entity}/hostile/workspace",
    ):
        done = shell("show", project)
        assert done.returncode == 2
        assert "is a project" in done.stderr
        assert odd in done.stderr
        assert done.stderr.count("\n") == 1


def test_a_project_in_place_of_a_run_lists_its_pulled_runs_offline(backend, shell):
    path = LoggedRun(backend, "pulled", "taken along").log(*steps(0, 2)).finish().path
    assert shell("pull", path).returncode == 0
    offline = {**shell.environment, "RUNLAKE_OFFLINE": "1"}
    done = run_command(offline, "show", path.rpartition("/")[0])
    assert done.returncode == 2
    assert "is a project, not a run" in done.stderr
    assert path in done.stderr


@pytest.mark.parametrize("words", [["show"], ["query"], ["plot", "-k", "loss"]], ids=str)
def test_a_path_of_two_parts_that_leads_nowhere_is_named_as_typed(backend, shell, words):
    path = f"{backend.entity}/nowhere"
    done = shell(*words, path)
    assert done.returncode == 1
    assert f"{path!r} is neither a project with runs nor a run" in done.stderr


def test_usage_names_each_argument_once_and_in_capitals(shell):
    for words in _commands(shell):
        usage = shell(*words, "-h").stdout.splitlines()[0]
        arguments = usage.partition("[OPTIONS]")[2]
        assert re.fullmatch(r"( (\{[A-Z]+\}|\[[A-Z /|]+\])(\.\.\.)?)*", arguments), usage


def _commands(shell, words=()):
    """Yield the words of every command that has no commands below it."""
    listed = shell(*words, "-h").stdout.partition("\nCommands:\n")[2]
    names = re.findall(r"^  ([a-z][a-z-]*)(?:  .*)?$", listed, re.MULTILINE)
    if not names:
        yield words
    for name in names:
        yield from _commands(shell, (*words, name))


def test_an_interrupted_command_is_quiet(shell):
    asked = threading.Event()
    clients = []
    with socket.create_server(("127.0.0.1", 0)) as silent:

        def take_request():
            clients.append(silent.accept()[0])
            clients[0].recv(1)
            asked.set()

        threading.Thread(target=take_request, daemon=True).start()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        environment = bare_environment() | {"WANDB_BASE_URL": url, "WANDB_API_KEY": "x" * 40}
        with subprocess.Popen(
            [sys.executable, "-m", "runlake", "show", "a/b/c"],
            env=environment,
            cwd=shell.directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert asked.wait(30)
            process.send_signal(signal.SIGINT)
            output = process.communicate(timeout=30)
        clients[0].close()
    assert (process.returncode, output) == (130, ("", ""))


# --- what is imported ----------------------------------------------------------------------------

HEAVY = {"httpx", "polars", "duckdb", "pyarrow", "numpy", "rich", "starlette", "uvicorn", "graphql"}
MODULES = """
import sys
# Not what measures the coverage of this process.
before = set(sys.modules)
sys.argv = ["runlake", *sys.argv[1:]]
from runlake.__main__ import main
try:
    main()
except SystemExit:
    pass
print(*sys.modules.keys() - before, file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("words", "more"),
    [
        (["--version"], {"typer", "email", "json", "importlib.metadata"}),
        (["--help"], {"pydantic", "sqlite3"}),
        (["query", "--help"], {"sqlite3"}),
        (["server", "key", "--help"], {"sqlite3"}),
    ],
    ids=["--version", "--help", "query --help", "server key --help"],
)
def test_help_and_version_import_no_library(words, more):
    done = subprocess.run(
        [sys.executable, "-c", MODULES, *words], capture_output=True, text=True, check=True
    )
    assert not (HEAVY | more) & set(done.stderr.split())
    assert done.stdout


def test_the_url_of_a_run_is_a_path_everywhere(api, shell, odd):
    run = api.run(odd)
    for url in (run.url, f"{run.url}/overview?nw=x", run.url.replace("127.0.0.1", "localhost")):
        assert api.run(url).path == run.path
    assert api.from_path(run.url).path == run.path
    assert shell("show", run.url).stdout.startswith(f"run\t{odd}\n")
    assert shell("pull", run.url).returncode == 0
    assert shell("query", run.url, "SELECT 1 AS one").stdout == "one\n1\n"
    assert shell("cache", "pin", run.url).returncode == 0
    assert json.loads(shell("cache", "list", "--json").stdout)[0]["pinned"] in {True, False}
    assert shell("cache", "unpin", run.url).returncode == 0
    other = shell("show", f"https://wandb.ai/{odd.replace('/hostile/odd', '/hostile/runs/odd')}")
    assert (other.returncode, "another backend" in other.stderr) == (2, True)


def test_names_in_a_url_are_decoded(backend, api):
    path = LoggedRun(backend, "\u65e5\u672c x", "a b%").log(*steps(0, 2)).finish().path
    run = api.run(path)
    assert api.run(run.url).id == "\u65e5\u672c x"
    assert api.run(run.url).project == "a b%"
