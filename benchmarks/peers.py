"""The scripts that `turns` runs, one per side of a comparison, with ``path`` and ``arguments``.

Every round prints its counts, so that no side wins by reading less.
"""

from __future__ import annotations

RUNLAKE = """
import runlake
run = runlake.Api().run(path)
"""
# A scan without keys makes the SDK cache all exports as whole files; later scans read these files,
# also scans with keys. To scan only the last step is enough: the SDK downloads all files for it.
WANDB_CACHED = """
import wandb
run = wandb.Api().run(path)
for row in run.scan_history(min_step=run.lastHistoryStep):
    pass
"""
# The SDK caches nothing of a scan with keys: each scan reads ranges over the network.
WANDB_UNCACHED = """
import wandb
run = wandb.Api().run(path)
"""
RUNLAKE_ROWS = f"{RUNLAKE}measure(lambda: sum(1 for _ in run.beta_scan_history(**arguments)))"
# A whole scan takes the SDK half a minute: the first rows warm its process as well.
_WANDB_WARM_UP = """
def warm_up():
    first = arguments.get("min_step", 0)
    return sum(1 for _ in run.scan_history(**arguments | {"max_step": first + 1_000}))
"""
WANDB_ROWS = f"""{WANDB_CACHED}{_WANDB_WARM_UP}
measure(lambda: sum(1 for _ in run.scan_history(**arguments)), warm_up=warm_up)
"""
WANDB_UNCACHED_ROWS = (
    f"{WANDB_UNCACHED}measure(lambda: sum(1 for _ in run.scan_history(**arguments)))"
)
# Rows that are discarded, then what users do with them.
RUNLAKE_KEPT_ROWS = f"""{RUNLAKE}
import pandas
measure(
    lambda: sum(1 for _ in run.beta_scan_history()),
    once=(
        lambda: len(list(run.beta_scan_history())),
        lambda: len(pandas.DataFrame(run.scan_history())),
        lambda: len(run.beta_scan_history().to_pandas()),
    ),
)
"""
WANDB_KEPT_ROWS = f"""{WANDB_CACHED}{_WANDB_WARM_UP}
import pandas
measure(
    lambda: sum(1 for _ in run.scan_history()),
    once=(
        lambda: len(list(run.scan_history())),
        lambda: len(pandas.DataFrame(run.scan_history())),
    ),
    warm_up=warm_up,
)
"""
FILES = f"""{RUNLAKE}
import polars
from runlake.exports.manifest import fetch_manifest
files = sorted(map(str, run.pull().directory.glob("*.parquet")))
def ask():
    return fetch_manifest(run._client, run._path).last_step
"""
POLARS_ROWS = f"""{FILES}
measure(lambda: sum(1 for _ in polars.read_parquet(files).iter_rows(named=True)))
"""
POLARS_READ = f"{FILES}measure(lambda: polars.read_parquet(files).height)"
# Makes a dict per row, and drops it, of columns in memory.
_BARE_LOOP = f"""{RUNLAKE}
frame = run.frame(**arguments)
cells = ", ".join(f"c{{place}}" for place in range(frame.width))
pairs = ", ".join(f"{{name!r}}: c{{place}}" for place, name in enumerate(frame.columns))
space = {{}}
exec(f"def rows(lists):\\n for {{cells}} in zip(*lists):\\n  yield {{{{{{pairs}}}}}}", space)
def loop(columns):
    return sum(1 for _ in space["rows"](columns))
arrays = [memoryview(frame[name].to_numpy()) for name in frame.columns]
"""
# The bare loop shows how long CPython takes if the columns are lists already; the floor, how long
# if they are arrays of numbers already.
ROWS_AND_BARE_LOOP = f"""{_BARE_LOOP}
lists = [frame[name].to_list() for name in frame.columns]
measure(
    lambda: sum(1 for _ in run.beta_scan_history()),
    lambda: loop(lists),
    lambda: loop(arrays),
)
"""
# What no reader of rows can do without.
NUMBERS_TO_ROWS = f"{_BARE_LOOP}measure(lambda: loop(arrays))"
RUNLAKE_FRAME = f"{RUNLAKE}measure(lambda: run.frame(**arguments).height)"
POLARS_FRAME = f"{FILES}measure(lambda: polars.read_parquet(files, **arguments).height)"
POLARS_FRAME_ASKED = f"""{FILES}
def ask_and_read():
    ask()
    return polars.read_parquet(files, **arguments).height
measure(ask_and_read)
"""
POLARS_RANGE = f"""{FILES}
step = polars.col("_step")
low, high = arguments["min_step"], arguments["max_step"]
scan = polars.scan_parquet(files)
wanted = scan.filter((step >= low) & (step < high)).select("_step", *arguments["keys"])
def ask_and_read():
    ask()
    return wanted.collect().height
measure(ask_and_read)
"""
RUNLAKE_SQL = f"""{RUNLAKE}
measure(lambda: run.sql(arguments["query"].format(table="history")).fetchall()[0][0])
"""
DUCKDB_SQL = f"""{FILES}
import duckdb
table = f"read_parquet({{files}})"
if "setting" in arguments:
    duckdb.sql(arguments["setting"])
def ask_and_read():
    ask()
    return duckdb.sql(arguments["query"].format(table=table)).fetchall()[0][0]
measure(ask_and_read)
"""
AS_SCRIPT = """
import os, subprocess
# Without compiled modules in the cache, which users have, each import would compile them.
environment = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
def read():
    command = [sys.executable, "-c", arguments["code"], path]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return int(done.stdout)
measure(read)
"""
_PEAK = """
import runlake, polars
polars.DataFrame({"a": [1]}).lazy().collect()
def memory(name):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024
# The peak of a new process is that of its parent until it is reset (Linux).
open("/proc/self/clear_refs", "w").write("5")
before = memory("VmRSS")
run = runlake.Api().run(path)
def peak_of(read):
    measure(lambda: (read(), memory("VmHWM") - before)[1])
"""
MEMORY = f"{_PEAK}peak_of(lambda: sum(1 for _ in run.beta_scan_history(**arguments)))"
_SAMPLE = "lambda: len(run.history(samples=500, pandas=False, **arguments))"
SAMPLE = f"{RUNLAKE}measure({_SAMPLE})"
SAMPLE_MEMORY = f"{_PEAK}peak_of({_SAMPLE})"
CARD = f"""{RUNLAKE}
run.pull()
run.load_full_data()
measure(lambda: len(run._repr_html_().encode()))
"""
INTERRUPT = """
import os, signal, threading, runlake
# A shell that runs in the background lets its children ignore the signal.
signal.signal(signal.SIGINT, signal.default_int_handler)
run = runlake.Api().run(path)
def interrupted():
    threading.Timer(0.3, lambda: (sent.append(time.perf_counter()),
                                  os.kill(os.getpid(), signal.SIGINT))).start()
    sent = []
    try:
        for _ in run.beta_scan_history(**arguments):
            pass
    except KeyboardInterrupt:
        return 1, time.perf_counter() - sent[0]
    raise SystemExit("the scan ended before the interrupt")
# An interrupt while a library is imported is the library's affair.
next(iter(run.beta_scan_history(**arguments)))
measure(interrupted)
"""
RUNLAKE_PLOT = f"""{RUNLAKE}
key = arguments["key"]
measure(
    lambda: run.frame([key]).height,
    lambda: len(run.plot(key).html()) > 0,
)
"""
_MANY_RUNS = """
import os, shutil
runs = library.Api().runs(path)
def forget():
    if arguments.get("is_cold"):
        shutil.rmtree(os.environ["WANDB_CACHE_DIR"], ignore_errors=True)
keys = arguments.get("keys")
def histories():
    return runs.histories(keys=keys, samples=arguments["samples"], format="polars").height
def configs():
    # Lists are loaded as they are walked, so each round walks a new list.
    return sum(len(run.config) for run in library.Api().runs(path))
"""
RUNLAKE_HISTORIES = f"import runlake as library\n{_MANY_RUNS}measure(histories, before=forget)"
# The floor is to ask for the freshness of all runs, without reading them.
RUNLAKE_HISTORIES_AND_PAGES = f"""import runlake as library
{_MANY_RUNS}
measure(histories, lambda: len(runs._present_facts()))
"""
WANDB_HISTORIES = f"import wandb as library\n{_MANY_RUNS}measure(histories, before=forget)"
RUNLAKE_SCAN_OF_RUNS = f"""
import runlake as library\n{_MANY_RUNS}
measure(lambda: runs.scan(keys).collect().height, before=forget)
"""
RUNLAKE_CONFIGS = f"import runlake as library\n{_MANY_RUNS}measure(configs)"
WANDB_CONFIGS = f"import wandb as library\n{_MANY_RUNS}measure(configs)"
# The floor is to request the same pages one after the other, without what is made of them.
RUNLAKE_RUN_TABLES = """
import runlake
from runlake.backend.graphql import documents
def pages():
    runs, cursor, n_runs = runlake.Api().runs(path), None, 0
    while True:
        page = runs._ask_page(documents.runs(is_light=False), cursor, 1_000)["runs"]
        n_runs += len(page["edges"])
        if not page["pageInfo"]["hasNextPage"]:
            return n_runs
        cursor = page["pageInfo"]["endCursor"]
measure(
    lambda: runlake.Api().runs(path).frame().height,
    lambda: runlake.Api().runs(path).frame(flat=True).height,
    pages,
)
"""
_RUNS = """
import polars as pl, runlake
api = runlake.Api()
runs = api.runs(path)
"""
# Reads what `runs.scan` reads, without asking the backend.
_FILES_OF_RUNS = f"""{_RUNS}
pulled = runs.pull()
owners = [
    {{"file": str(file), "config.lr": run.config["lr"]}}
    for run, of_run in zip(runs, pulled)
    for file in sorted(of_run.directory.glob("*.parquet"))
]
owners = pl.DataFrame(owners).lazy()
files = owners.collect()["file"].to_list()
def rows():
    scan = pl.scan_parquet(files, include_file_paths="file")
    return scan.select("file", "_step", "key001").join(owners, on="file", how="left")
"""
RUNLAKE_RUN_ROWS = f"""{_RUNS}
def read():
    return runs.scan(["key001"], columns=["config.lr"]).collect().height
def read_ten():
    api.flush()
    some = api.runs(path, {{"config.seed": {{"$lt": 10}}}})
    return some.scan(["key001"], columns=["config.lr"]).collect().height
measure(read, read_ten)
"""
# The floor is to ask for the freshness of all runs, and then to read them with polars.
POLARS_RUN_ROWS = f"""{_FILES_OF_RUNS}
def read():
    return rows().collect().height
def ask_and_read():
    runs._present_facts()
    return read()
measure(read, ask_and_read)
"""
RUNLAKE_ALIGN = f"""{_RUNS}
def align():
    means = runs.align(["key001"], by=["config.lr"], stats=["mean", "std"])["mean"]
    return round(means.sum() * 1e3)
measure(align)
"""
POLARS_ALIGN = f"""{_FILES_OF_RUNS}
loss = pl.col("key001")
def align():
    groups = rows().group_by("config.lr", "_step")
    found = groups.agg(mean=loss.mean(), std=loss.std()).sort("config.lr", "_step").collect()
    return round(found["mean"].sum() * 1e3)
measure(align)
"""
RUNLAKE_BEST = f"""{_RUNS}
measure(lambda: round(runs.best("key001")["key001"].sum() * 1e3))
"""
POLARS_BEST = f"""{_FILES_OF_RUNS}
best = pl.all().sort_by("key001").first()
measure(lambda: round(rows().group_by("file").agg(best).collect()["key001"].sum() * 1e3))
"""
_FIRST_ROW = f"""{RUNLAKE}
from runlake.exports.manifest import fetch_manifest
from runlake.history.decode.first_slices import forget_first_slices
reads = (
    lambda: len(next(iter(run.beta_scan_history(**arguments)))),
    lambda: fetch_manifest(run._client, run._path).last_step,
)
"""
FIRST_ROW = f"{_FIRST_ROW}measure(*reads)"
FIRST_DECODED_ROW = f"{_FIRST_ROW}measure(*reads, before=forget_first_slices)"
IMPORTS = """
import os, subprocess
environment = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
def importing(module):
    command = [sys.executable, "-c", "import " + module]
    return lambda: subprocess.run(command, env=environment).returncode
measure(*map(importing, arguments["modules"]))
"""
_PULLED = """
import pathlib, shutil, subprocess, tempfile
folder = pathlib.Path(arguments.pop("folder"))
def clear():
    # After many files were deleted, ext4 takes several times as long to create a file, for some
    # minutes. So many small files are put aside, and deleted at the end.
    if folder.exists() and sum(1 for _ in folder.rglob("*.parquet")) > 100:
        folder.rename(tempfile.mkdtemp(dir=folder.parent))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
def n_bytes():
    return sum(file.stat().st_size for file in folder.rglob("*.parquet"))
"""
RUNLAKE_PULL = f"""{_PULLED}
import runlake
run = runlake.Api({{"cache_dir": folder}}).run(path)
measure(lambda: (run.pull(), n_bytes())[1], before=clear)
"""
_KEY_PULL = f"""{_PULLED}
import runlake
run = runlake.Api({{"cache_dir": folder}}).run(path)
"""
RUNLAKE_KEY_PULL = f"{_KEY_PULL}measure(lambda: len(run.pull(**arguments).exports), before=clear)"
# How many bytes that is differs from round to round.
RUNLAKE_KEY_BYTES = f"{_KEY_PULL}measure(lambda: run.pull(**arguments).n_bytes, before=clear)"
RUNLAKE_COLD_SCAN = f"""{_PULLED}
import runlake
run = runlake.Api({{"cache_dir": folder}}).run(path)
measure(lambda: sum(1 for _ in run.beta_scan_history()), before=clear)
"""
RUNLAKE_PULL_SCRIPT = f"""{_PULLED}
code = "import sys, runlake; runlake.Api({{'cache_dir': sys.argv[1]}}).run(sys.argv[2]).pull()"
command = [sys.executable, "-c", code, folder, path]
measure(lambda: (subprocess.check_call(command), n_bytes())[1], before=clear)
"""
WANDB_PULL = f"""{_PULLED}
import wandb
run = wandb.Api().run(path)
measure(lambda: (run.download_history_exports(folder), n_bytes())[1], before=clear)
"""
WANDB_COLD_SCAN = f"""{_PULLED}
import os, wandb
os.environ["WANDB_CACHE_DIR"] = str(folder)
run = wandb.Api().run(path)
measure(lambda: sum(1 for _ in run.beta_scan_history()), before=clear)
"""
WANDB_PULL_SCRIPT = f"""{_PULLED}
code = "import sys, wandb; wandb.Api().run(sys.argv[2]).download_history_exports(sys.argv[1])"
command = [sys.executable, "-c", code, folder, path]
measure(lambda: (subprocess.check_call(command), n_bytes())[1], before=clear)
"""
LAKE_PULL = f"""{_PULLED}
import runlake
lake = runlake.Lake(folder)
def pull():
    report = lake.pull(path)
    assert not report.failed and not report.incomplete, report
    # A pull writes the packed tables of the runs too; their size varies with the time of the pull.
    packed = (folder / "runlake" / "lake").rglob("*.parquet")
    return n_bytes() - sum(file.stat().st_size for file in packed)
measure(pull, before=clear)
"""
LAKE_UNCHANGED = f"""{_PULLED}
import runlake
clear()
lake = runlake.Lake(folder)
lake.pull(path)
def pull():
    report = lake.pull(path)
    assert len(report.unchanged) == report.n_runs, report
    return report.n_requests
measure(pull)
"""
# As scripts do it: a run after the other.
WANDB_PULLS = f"""{_PULLED}
import wandb
def pull():
    for run in wandb.Api().runs(path)[: arguments["n_runs"]]:
        run.download_history_exports(folder / run.id)
    return n_bytes()
measure(pull, before=clear)
"""
CURL_PARALLEL = f"""{_PULLED}
def fetch():
    lines = [
        f'url = "{{url}}"\\noutput = "{{folder / str(i)}}.parquet"'
        for i, url in enumerate(arguments["urls"])
    ]
    command = ["curl", "--silent", "--parallel", "--parallel-max", "64", "--config", "-"]
    subprocess.run(command, input="\\n".join(lines), text=True, check=True)
    return n_bytes()
measure(fetch, before=clear)
"""
# What a pull of runs with one small export each cannot do without besides the requests: to check
# each export, and to store it and a manifest, atomically, in a directory of the run.
CHECKED_FILES = f"""{_PULLED}
import pyarrow, pyarrow.parquet
with tempfile.TemporaryDirectory() as name:
    lines = [
        f'url = "{{url}}"\\noutput = "{{name}}/{{i}}.parquet"'
        for i, url in enumerate(arguments["urls"])
    ]
    command = ["curl", "--silent", "--parallel", "--parallel-max", "64", "--config", "-"]
    subprocess.run(command, input="\\n".join(lines), text=True, check=True)
    exports = [file.read_bytes() for file in pathlib.Path(name).iterdir()]
def store():
    for number, export in enumerate(exports):
        place = folder / str(number)
        place.mkdir()
        content = pyarrow.BufferReader(export)
        with pyarrow.parquet.ParquetFile(content, page_checksum_verification=True) as file:
            file.read(columns=["_step"], use_threads=False)
        for name, text in (("export.parquet", export), ("manifest.json", b"-" * 1000)):
            part = place / "part"
            part.write_bytes(text)
            part.rename(place / name)
    return n_bytes()
measure(store, before=clear)
"""
CURL = f"""{_PULLED}
def fetch():
    started = [
        subprocess.Popen(["curl", "--silent", "--output", folder / f"{{i}}.parquet", url])
        for i, url in enumerate(arguments["urls"])
    ]
    assert [one.wait() for one in started] == [0] * len(started)
    return n_bytes()
measure(fetch, before=clear)
"""
# What a download that checks each file cannot do without: receiving, the checksum, writing, and
# reading the steps.
CHECKED_COPIES = f"""{_PULLED}
import threading, urllib.request
import google_crc32c, pyarrow.parquet
def copy(number, url):
    file, crc32c = folder / f"{{number}}.parquet", 0
    with urllib.request.urlopen(url) as answer, open(file, "xb", buffering=0) as target:
        while piece := answer.read1(1 << 20):
            crc32c = google_crc32c.extend(crc32c, piece)
            target.write(piece)
    pyarrow.parquet.read_table(
        file, columns=["_step"], use_threads=False, page_checksum_verification=True
    )
def fetch():
    threads = [threading.Thread(target=copy, args=one) for one in enumerate(arguments["urls"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return n_bytes()
measure(fetch, before=clear)
"""
PLOT_OF_RUNS = """
import runlake
runs = runlake.Api().runs(path)
len(runs)
measure(
    lambda: runs.align(arguments["keys"], by=arguments["by"]).height > 0,
    lambda: len(runs.plot(arguments["keys"], by=arguments["by"]).html()) > 0,
)
"""
LAKE_ADD = f"""{_PULLED}
import runlake
lake = runlake.Lake(folder, offline=True)
def add():
    report = lake.add(path)
    assert not report.failed and not report.incomplete, report
    return lake.scan(["loss"]).collect().height
measure(add, before=clear)
"""
# Each round is sent to another run, so that the backend has to store it again.
WANDB_SYNC = """
import subprocess
round = 0
def sync():
    global round
    round += 1
    command = [sys.executable, "-m", "wandb", "sync", "--id", f"round{round}", path]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return 0
measure(sync)
"""
LEET_INSPECT = """
import subprocess
def inspect():
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", path]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.count(b"history")
measure(inspect)
"""
LAKE_RUNS = """
import runlake
lake = runlake.Lake(path, offline=True)
matching = {"config.lr": {"$gt": 0.01}, "state": "finished"}
measure(
    lambda: lake.runs(matching, columns=["name", "config.lr"]).height,
    lambda: lake.where({"project": "project1"}).runs(order="-created_at", limit=50).height,
)
"""
LAKE_EXPORT = f"""{_PULLED}
import polars, runlake
lake = runlake.Lake(arguments["root"], offline=True)
def export():
    lake.export(folder / "copy")
    copied = polars.scan_parquet(folder / "copy/history/*.parquet")
    return copied.select(polars.len()).collect().item()
measure(export, before=clear)
"""
POLARS_COPY = f"""{_PULLED}
import polars
files = sorted(pathlib.Path(arguments["root"]).rglob("*.parquet"))
def copy():
    n_rows = 0
    for number, file in enumerate(files):
        frame = polars.read_parquet(file)
        frame.write_parquet(folder / f"{{number}}.parquet")
        n_rows += frame.height
    return n_rows
measure(copy, before=clear)
"""
