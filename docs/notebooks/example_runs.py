"""An embedded backend with example runs, for the notebooks in this directory.

With your own account none of this is needed: leave out the first cell of a notebook, and use the
paths of your own runs.
"""

import atexit
import base64
import json
import math
import os
import random
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path
from urllib.parse import quote
from urllib.request import Request, urlopen

UPSERT = """
mutation UpsertBucket(
  $name: String, $project: String, $display: String, $config: JSONString, $sweep: String,
  $tags: [String!]
) {
  upsertBucket(input: {
    name: $name, modelName: $project, displayName: $display, config: $config, sweep: $sweep,
    tags: $tags
  }) { bucket { project { entity { name } } } }
}
"""
START_SECONDS = 60


def start() -> None:
    """Start the backend, log the runs, and point the settings of this process at them."""
    directory = Path(tempfile.mkdtemp(prefix="runlake-notebook-"))
    ready = directory / "ready.json"
    command = [sys.executable, "-m", "runlake", "serve", "--port", "0", "--quiet"]
    command += ["--data-dir", str(directory / "server"), "--ready-file", str(ready)]
    command += ["--export-rows", "1000"]
    with (directory / "server.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    atexit.register(server.terminate)
    deadline = time.monotonic() + START_SECONDS
    while not ready.exists():
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError((directory / "server.log").read_text())
        time.sleep(0.05)
    address = json.loads(ready.read_text())
    os.environ["WANDB_BASE_URL"] = address["base_url"]
    os.environ["WANDB_API_KEY"] = address["api_key"]
    os.environ["WANDB_CACHE_DIR"] = str(directory / "cache")
    log_two_spirals(directory / "files")
    log_seeds()
    log_sweep()


class ExampleRun:
    """A run that is logged over HTTP, as the wandb SDK does."""

    def __init__(self, project, run_id, config, *, name=None, sweep=None, tags=()):
        key = base64.b64encode(f"api:{os.environ['WANDB_API_KEY']}".encode()).decode()
        self._headers = {"Authorization": f"Basic {key}", "Content-Type": "application/json"}
        wrapped = {key: {"value": value} for key, value in config.items()}
        variables = {
            "name": run_id,
            "project": project,
            "display": name or run_id,
            "config": json.dumps(wrapped),
            "sweep": sweep,
            "tags": list(tags),
        }
        answer = self._post("/graphql", {"query": UPSERT, "variables": variables})
        entity = answer["data"]["upsertBucket"]["bucket"]["project"]["entity"]["name"]
        self.path = f"{entity}/{project}/{run_id}"
        self._files = {}

    def log(self, rows):
        self._files["wandb-history.jsonl"] = rows

    def log_system(self, rows):
        self._files["wandb-events.jsonl"] = rows

    def finish(self, summary):
        self._files["wandb-summary.json"] = [summary]
        files = {
            name: {"offset": 0, "content": [json.dumps(row) for row in rows]}
            for name, rows in self._files.items()
        }
        stream = "/files/" + "/".join(quote(part, safe="") for part in self.path.split("/"))
        body = {"files": files, "complete": True, "exitcode": 0}
        self._post(f"{stream}/file_stream", body)

    def _post(self, path, body):
        content = json.dumps(body).encode()
        request = Request(os.environ["WANDB_BASE_URL"] + path, content, self._headers)
        with urlopen(request, timeout=60) as answer:
            return json.load(answer)


def log_two_spirals(directory):
    """Log a run of 3,000 steps with media and system metrics."""
    import hashlib

    import runlake

    noise = random.Random(1)
    picture = png_of(64, lambda x, y: (4 * x, 4 * y, 128))
    page = b"<h3>Two spirals</h3><p>A page that the run logged.</p>"
    files = {"media/images/field_0.png": picture, "media/html/report_0.html": page}

    def cell(kind, name, **more):
        content = files[name]
        digest = hashlib.sha256(content).hexdigest()
        return {"_type": kind, "path": name, "sha256": digest, "size": len(content), **more}

    image = cell("image-file", "media/images/field_0.png", width=64, height=64, caption="field")
    report = cell("html-file", "media/html/report_0.html")
    rows = []
    for step in range(3000):
        loss = 0.9 * math.exp(-step / 700) + 0.05 * noise.random()
        row = {"_step": step, "_runtime": step / 10, "_timestamp": 1.7e9 + step / 10, "loss": loss}
        if step % 25 == 0:
            row["val"] = {"loss": loss * 1.1, "acc": 1 - loss}
        if step % 1000 == 0:
            row |= {"field": image, "report": report}
        rows.append(row)
    # Gaps and NaN are part of life.
    rows[1500]["loss"] = math.nan
    config = {"lr": 0.05, "net": {"layers": [2, 32, 32, 1], "activation": "tanh"}}
    run = ExampleRun("demo", "two-spirals", config, name="two spirals", tags=["example"])
    run.log(rows)
    run.log_system(
        {"_runtime": second, "_timestamp": 1.7e9 + second, "system.cpu": 40 + 30 * noise.random()}
        for second in range(15, 300, 15)
    )
    last = {"loss": rows[-1]["loss"], "val": rows[-25]["val"], "field": image, "report": report}
    run.finish(last)
    for name, content in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(content)
        runlake.Api().run(run.path).upload_file(directory / name, root=directory)


def log_seeds():
    """Log three learning rates with four seeds each; the largest diverges for one seed."""
    for lr in (0.01, 0.1, 1.0):
        for seed in range(4):
            noise = random.Random(seed)
            run = ExampleRun("seeds", f"lr{lr}-seed{seed}", {"lr": lr, "seed": seed})
            rows = [
                {"_step": step, "loss": math.exp(-step * lr / 20) + 0.1 * noise.random()}
                for step in range(200)
            ]
            if lr == 1.0 and seed == 3:
                rows[150:] = [{"_step": step, "loss": math.nan} for step in range(150, 200)]
            run.log(rows)
            run.finish({"loss": rows[-1]["loss"]})


def log_sweep():
    """Log the runs of a sweep over two hyperparameters."""
    for index, (lr, width) in enumerate(
        (lr, width) for lr in (0.01, 0.1) for width in (8, 32, 128)
    ):
        run = ExampleRun("sweeps", f"trial{index}", {"lr": lr, "width": width}, sweep="search")
        acc = 0.6 + 0.1 * lr + 0.05 * math.log(width)
        run.log({"_step": step, "acc": acc * (1 - 0.9**step)} for step in range(60))
        run.finish({"acc": acc * (1 - 0.9**59)})


def png_of(size, color):
    """Return a square picture, from a function of x and y that returns red, green and blue."""

    def chunk(kind, content):
        checked = kind + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    lines = b"".join(
        b"\0" + bytes(part for x in range(size) for part in color(x, y)) for y in range(size)
    )
    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(kind, content)
        for kind, content in ((b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
    )
