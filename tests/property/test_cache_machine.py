"""After any events in a cache, in any order, a read gives the right rows or a clear error."""

import io
import os
import random
import shutil
import tempfile
import time
import warnings
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.faults.fault_script import Fault
from tests.faults.fault_server import API_KEY, RUN_PATH, FaultServer
from tests.thorough import n_examples

import runlake
from runlake.cache.memory import forget_columns
from runlake.cache.upkeep.check import repair_catalog, verify_cache
from runlake.cache.upkeep.evict import prune_cache
from runlake.cache.upkeep.prune import Policy
from runlake.errors import NotCached
from runlake.settings import load_settings

KEYS = [f"k{n}" for n in range(12)]
# Large enough that a few keys of an export are fetched in part.
ROWS = 2_000
keys = st.one_of(st.none(), st.lists(st.sampled_from(KEYS), min_size=1, max_size=3, unique=True))


def content(first, n_rows, seed):
    noise = random.Random(seed)
    columns: dict[str, list[float]] = {"_step": list(range(first, first + n_rows))}
    columns |= {key: [noise.random() for _ in range(n_rows)] for key in KEYS}
    table = pa.table(columns)
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=max(1, n_rows // 3), use_dictionary=False)
    return sink.getvalue()


class CacheMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="runlake-machine-"))
        self.server = FaultServer().__enter__()
        self.chance = random.Random(1)
        self.n_rows = 0
        self.version = 0

    def teardown(self):
        self.server.__exit__()
        shutil.rmtree(self.directory)

    @initialize()
    def begin(self):
        self.exports = {}
        self.offers = []
        self.append(ROWS)

    def api(self, **options):
        overrides = {"base_url": self.server.base_url, "cache_dir": self.directory}
        return runlake.Api(overrides, api_key=API_KEY, **options)

    def settings(self):
        overrides = {"base_url": self.server.base_url, "cache_dir": self.directory}
        return load_settings(overrides, api_key=API_KEY)

    def offer(self):
        self.version += 1
        self.server.run["heartbeatAt"] = f"2026-01-01T00:00:{self.version:02d}"
        self.server.offer(**self.exports)
        for name, promised in self.exports.items():
            self.server.store(name, promised, "etag", "date", "crc32c")
        self.offers.append(dict(self.exports))

    def expected(self, wanted, exports=None):
        tables = [pq.read_table(io.BytesIO(one)) for one in (exports or self.exports).values()]
        table = pa.concat_tables(tables).sort_by("_step")
        return table.select(["_step", *(wanted or KEYS)]).to_pylist()

    @rule(n_rows=st.sampled_from([50, ROWS]))
    def append(self, n_rows):
        if len(self.exports) < 4:
            name = f"e{self.version}"
            self.exports[name] = content(self.n_rows, n_rows, self.version)
            self.n_rows += n_rows
            self.offer()

    @rule()
    def compact(self):
        tables = [pq.read_table(io.BytesIO(one)) for one in self.exports.values()]
        sink = io.BytesIO()
        pq.write_table(pa.concat_tables(tables).sort_by("_step"), sink, use_dictionary=False)
        self.exports = {f"c{self.version}": sink.getvalue()}
        self.offer()

    @rule()
    def replace_one_in_place(self):
        name = self.chance.choice(sorted(self.exports))
        steps = pq.read_table(io.BytesIO(self.exports[name]), columns=["_step"])["_step"]
        self.exports[name] = content(steps[0].as_py(), len(steps), self.version + 1000)
        self.offer()

    @rule(wanted=keys, use_cache=st.booleans())
    def read(self, wanted, use_cache):
        run = self.api().run(RUN_PATH)
        assert list(run.beta_scan_history(wanted, use_cache=use_cache)) == self.expected(wanted)
        assert not list(self.directory.rglob("*.part"))

    @rule(wanted=keys)
    def read_as_a_frame(self, wanted):
        frame = self.api().run(RUN_PATH).frame(wanted)
        assert frame.select("_step", *(wanted or KEYS)).to_dicts() == self.expected(wanted)

    @rule(wanted=keys)
    def read_offline_after_reading(self, wanted):
        list(self.api().run(RUN_PATH).beta_scan_history(wanted))
        before = len(self.server.seen)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", runlake.errors.StaleWarning)
            run = self.api(offline=True).run(RUN_PATH)
            assert list(run.beta_scan_history(wanted)) == self.expected(wanted)
        assert len(self.server.seen) == before

    @rule(wanted=keys)
    def read_offline_whatever_is_there(self, wanted):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", runlake.errors.StaleWarning)
            try:
                run = self.api(offline=True).run(RUN_PATH)
                rows = list(run.beta_scan_history(wanted))
            except NotCached:
                return
        # Of one moment, and all of that moment.
        assert any(rows == self.expected(wanted, offered) for offered in self.offers)

    @rule()
    def let_the_host_send_wrong_bytes_once(self):
        name = self.chance.choice(sorted(self.exports))
        wrong = bytearray(self.exports[name])
        wrong[self.chance.randrange(len(wrong))] ^= 1 << self.chance.randrange(8)
        self.server._faults.clear()
        self.server.fail(name, Fault(body=bytes(wrong)))

    @rule(fault=st.sampled_from([None, Fault(400), Fault(416), Fault(501), Fault(cut_after=0)]))
    def let_the_host_know_suffix_ranges_or_not(self, fault):
        self.server.suffix_fault = fault

    @rule()
    def restore_from_a_backup(self):
        for directory in self.directory.iterdir():
            backup = directory.with_name(f"{directory.name}.backup")
            shutil.copytree(directory, backup)
            shutil.rmtree(directory)
            backup.rename(directory)

    @rule(how=st.sampled_from(["flip", "flip quietly", "truncate", "empty", "delete"]))
    def damage_a_file(self, how):
        files = sorted(self.directory.rglob("*.parquet"))
        if not files:
            return
        file = self.chance.choice(files)
        before = file.stat()
        size = before.st_size
        if how == "delete":
            file.unlink()
        elif how in {"flip", "flip quietly"}:
            with file.open("r+b") as damaged:
                place = self.chance.randrange(size) if size else 0
                damaged.seek(place)
                byte = damaged.read(1) or b"\0"
                damaged.seek(place)
                damaged.write(bytes([byte[0] ^ 0xFF]))
            if how == "flip quietly":
                os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        else:
            with file.open("r+b") as damaged:
                damaged.truncate(0 if how == "empty" else size // 2)

    @rule(
        what=st.sampled_from(["manifest.json", "catalog.sqlite"]),
        how=st.sampled_from(["delete", "garbage", "flip"]),
    )
    def lose_what_is_noted(self, what, how):
        forget_columns()
        for file in self.directory.rglob(what):
            if how == "delete":
                file.unlink()
            elif how == "garbage":
                file.write_bytes(b"garbage" * 100)
            else:
                damaged = bytearray(file.read_bytes())
                damaged[self.chance.randrange(len(damaged))] ^= 1 << self.chance.randrange(8)
                file.write_bytes(damaged)

    @rule()
    def verify(self):
        list(verify_cache(self.settings().cache_dir, 10))

    @rule()
    def repair(self):
        repair_catalog(self.settings().cache_dir, 10)

    @rule(max_bytes=st.sampled_from([None, 0, 300_000]))
    def prune(self, max_bytes):
        prune_cache(self.settings(), Policy(max_bytes=max_bytes, grace=0))

    @rule()
    def leave_a_part(self):
        for manifest in self.directory.rglob("manifest.json"):
            part = manifest.parent / f"{'0' * 32}.dead.part"
            part.write_bytes(b"PAR1")
            old = time.time() - 2 * 24 * 3600
            os.utime(part, (old, old))

    @invariant()
    def there_are_few_inodes(self):
        for manifest in self.directory.rglob("manifest.json"):
            others = [f for f in manifest.parent.iterdir() if f.suffix not in {".parquet", ".part"}]
            assert others == [manifest]


TestCache = CacheMachine.TestCase
TestCache.settings = settings(
    # An example is many reads.
    max_examples=n_examples(5, 200),
    stateful_step_count=25,
    deadline=None,
)
