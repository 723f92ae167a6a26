"""Logs runs of many kinds offline; the arguments are the entity and the kinds."""

import os
import signal
import struct
import sys
import time
from pathlib import Path

import google_crc32c
import numpy as np
import wandb

os.environ["WANDB_MODE"] = "offline"
KINDS = set(sys.argv[2:])
PROJECT = "local"
QUIET = wandb.Settings(
    x_disable_stats=True, console="off", disable_git=True, x_disable_meta=True, silent=True
)


def run_of(run_id, **kept):
    settings = kept.pop("settings", QUIET)
    return wandb.init(entity=sys.argv[1], project=PROJECT, id=run_id, settings=settings, **kept)


def write_events(path, n_steps):
    """Write scalars as TensorBoard does: records with lengths and masked CRC-32C checksums."""
    path.parent.mkdir(parents=True)

    def masked(content):
        crc = google_crc32c.value(content)
        return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)

    def record(event):
        length = struct.pack("<Q", len(event))
        return length + masked(length) + event + masked(event)

    head = b"\x09" + struct.pack("<d", 1.7e9)
    content = record(head + b"\x1a\x0dbrain.Event:2")
    for step in range(n_steps):
        value = b"\x0a\x04loss\x15" + struct.pack("<f", step / 2)
        summary = b"\x0a" + bytes([len(value)]) + value
        scalars = b"\x2a" + bytes([len(summary)]) + summary
        content += record(head + b"\x10" + bytes([step]) + scalars)
    path.write_bytes(content)


if "whole" in KINDS:
    with run_of(
        "whole",
        name="Whole",
        tags=["a"],
        notes="n",
        group="g",
        job_type="j",
        config={"lr": 0.1, "deep": {"x": [1, 2]}, "none": None},
    ) as run:
        run.define_metric("acc", summary="max")
        run.define_metric("val/*", step_metric="epoch")
        for i in range(20):
            odd = [float("nan"), float("inf"), -float("inf")][i % 3]
            run.log(
                {
                    "loss": 1 / (i + 1),
                    "acc": -abs(i - 5),
                    "nest": {"a": i, "b": {"c": i}},
                    "val/x": i,
                    "epoch": i // 2,
                    "odd": odd,
                    "mix": i if i % 2 else f"s{i}",
                    "list": [i, i + 1],
                    'k.ey "ü"': i,
                }
            )
        run.log(
            {
                "img": wandb.Image(np.zeros((4, 4, 3), dtype="uint8")),
                "hist": wandb.Histogram([1, 2, 3]),
                "t": wandb.Table(columns=["a"], data=[[1]]),
            }
        )
        run.summary["best"] = 7
        run.config.update({"late": 1})
if "empty" in KINDS:
    with run_of("empty") as run:
        pass
if "config-only" in KINDS:
    with run_of(
        "config-only", config={"a": {"b": {"c": [1, {"d": None}]}}, "ü": "ß", "x.y": 1}
    ) as run:
        run.summary.update({"only": {"summary": [1, 2, float("inf")]}})
if "metrics" in KINDS:
    with run_of("metrics") as run:
        for kind in ("min", "max", "mean", "first", "last"):
            run.define_metric(kind, summary=kind)
        run.define_metric("hidden", hidden=True, step_metric="epoch", summary="none")
        run.define_metric("both", summary="min,max")
        for value in [3, 1, 2.5]:
            run.log(dict.fromkeys(("min", "max", "mean", "first", "last", "hidden", "both"), value))
if "steps" in KINDS:
    with run_of("steps") as run:
        run.log({"a": 1}, step=5)
        run.log({"b": 2}, step=5)
        run.log({"a": 3}, step=1000)
        run.log({"c": 1}, commit=False)
        run.log({"d": 2})
if "media" in KINDS:
    with run_of("media") as run:
        image = np.zeros((4, 4, 3), dtype="uint8")
        for i in range(2):
            run.log(
                {
                    "one": wandb.Image(image, caption="ü"),
                    "many": [wandb.Image(image + i)] * 2,
                    "html": wandb.Html(f"<p>{i}</p>"),
                    "hist": wandb.Histogram([0.0, 1.0, float(i)]),
                    "object": wandb.Object3D(np.zeros((2, 3))) if i else None,
                }
            )
        curve = wandb.Table(columns=["x", "y"], data=[[0, 1], [1, 2]])
        run.log({"chart": wandb.plot.line(curve, "x", "y", title="t")})
if "tables" in KINDS:
    with run_of("tables") as run:
        table = wandb.Table(columns=["a", "ü"], data=[[1, None], [2.5, "x"], [None, "ß"]])
        run.log({"t": table, "deep/t": wandb.Table(columns=["i"], data=[[[1, 2]]])})
if "wide" in KINDS:
    with run_of("wide") as run:
        for i in range(3):
            run.log({f"key{n:04}": n * i for n in range(2000)})
if "long-lines" in KINDS:
    with run_of("long-lines") as run:
        run.log({"text": "ü" * 200_000, "list": list(range(20_000))})
        run.log({"text": "", "list": []})
if "odd-values" in KINDS:
    with run_of("odd-values") as run:
        run.log(
            {
                "huge": 2**70,
                "edge": 2**63 - 1,
                "low": -(2**63),
                "tiny": 5e-324,
                "zero": -0.0,
                "flag": True,
                "none": None,
                "text": "NaN",
                "empty": {},
                "tuple": (1, 2),
                "np": np.float32(0.1),
                "int": np.int64(7),
                "array": np.arange(3),
            }
        )
        run.log(
            {
                "flag": 1,
                "huge": 0.5,
                "text": "Infinity",
                "mixed": [1, "a", None, {"b": 1}],
                "dicts": [{"a": 1}, {"a": "x"}],
                "nested": {"x": float("nan"), "y": [float("inf")]},
            }
        )
if "odd-names" in KINDS:
    with run_of("odd-names") as run:
        run.log(
            {
                "a/b": 1,
                "a.b": 2,
                "a": {"c": 3},
                " space ": 4,
                "quote'\"": 5,
                "ключ/🎉": 6,
                "UPPER": 7,
                "upper": 8,
                "-": 9,
                "a\\b": 10,
            }
        )
if "types-change" in KINDS:
    with run_of("types-change") as run:
        for i in range(6):
            run.log(
                {
                    "late_float": i if i < 4 else i + 0.5,
                    "late_text": i if i < 4 else "x",
                    "list_or_number": [i] if i % 2 else i,
                    "sparse" if i == 3 else "dense": i,
                }
            )
if "failed" in KINDS:
    with run_of("failed") as run:
        run.log({"loss": 1})
        run.finish(exit_code=3)
if "tagged" in KINDS:
    with run_of(
        "tagged",
        tags=["b", "a", "ü"],
        group="g/1",
        job_type="eval",
        notes="line\nline",
        name="name ü",
    ) as run:
        run.log({"x": 1})
        run.tags = (*run.tags, "late")
        run.notes = "later"
if "artifact" in KINDS:
    with run_of("artifact") as run:
        artifact = wandb.Artifact("data", "dataset", description="d", metadata={"n": 1})
        with artifact.new_file("a.txt") as file:
            file.write("x")
        run.log_artifact(artifact)
        run.log({"x": 1})
if "files" in KINDS:
    with run_of("files") as run:
        path = Path(run.dir) / "sub" / "ü.txt"
        path.parent.mkdir()
        path.write_text("text")
        run.save(path, base_path=run.dir, policy="now")
        run.log({"x": 1})
if "removed" in KINDS:
    with run_of("removed", config={"gone": 1, "kept": {"a": 1}}) as run:
        run.log({"gone": 1, "kept": 2})
        run.summary.update({"extra": 5})
        run.config.update({"kept": {"b": 2}}, allow_val_change=True)
if "console" in KINDS:
    with run_of("console", settings=wandb.Settings(console="wrap", x_disable_stats=True)) as run:
        sys.stdout.write("some output\n")
        run.log({"x": 1})
if "system-only" in KINDS:
    stats = wandb.Settings(x_stats_sampling_interval=0.1, console="off", disable_git=True)
    with run_of("system-only", settings=stats) as run:
        time.sleep(0.5)
if "again" in KINDS:
    for start in range(2):
        with run_of("again", resume="allow") as run:
            for i in range(5):
                run.log({"loss": i, f"only{start}": i})
        time.sleep(1.1)
if "twice" in KINDS:
    for start in range(2):
        with run_of("twice") as run:
            for i in range(3 + start):
                run.log({"loss": i + 10 * start, f"only{start}": i})
        time.sleep(1.1)
if "tensorboard" in KINDS:
    with run_of("tensorboard") as run:
        write_events(Path("tensorboard/events.out.tfevents.1700000000.host"), 5)
        run._tensorboard_callback("tensorboard", save=True)
        time.sleep(2)
if "killed" in KINDS:
    run = run_of("killed")
    for i in range(2000):
        run.log({"loss": i, "text": "x" * 50})
    time.sleep(2)
    os.kill(os.getpid(), signal.SIGKILL)
