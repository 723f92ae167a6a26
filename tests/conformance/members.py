"""Calls that both clients answer, and the form in which two processes compare the answers."""

# Runs in this process for runlake and in one of its own for the SDK.
DESCRIBE = r'''
import re

def describe(value):
    """Tell a value and its type as JSON, without what differs from one request to the next."""
    if isinstance(value, BaseException):
        return {"raises": type(value).__name__}
    if isinstance(value, dict):
        return {str(key): describe(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, *map(describe, value)]
    return [type(value).__name__, re.sub(r"\?(?:object=\d+&)?expires=[^'\"]*", "", repr(value))]

def read(file):
    with file:
        return type(file).__name__, file.read()

def evaluate(expression, names):
    try:
        return describe(eval(expression, names))
    except Exception as error:
        return describe(error)
'''

READS = [
    "run.id",
    "run.name",
    "run.state",
    "run.entity",
    "run.project",
    "run.username",
    "run.storage_id",
    "run.path",
    "run.url",
    "run.config",
    "run.rawconfig",
    "run.config is run.config",
    "run.summary_metrics",
    "run.system_metrics",
    "run.sweep_name",
    "run.metadata",
    "run.lastHistoryStep",
    "run.tags",
    "run.notes",
    "run.group",
    "run.job_type",
    "run.jobType",
    "run.created_at",
    "run.heartbeat_at",
    "run.description",
    "run.commit",
    "run.read_only",
    "run.display_name",
    "run.history_keys",
    "run.history_line_count",
    "run.json_config",
    "run.user.name",
    "run.user.username",
    "type(run.user).__name__",
    "repr(run.user)",
    "repr(run)",
    "run.nothing",
    "run.to_html()",
    "run.to_html(100, True)",
    "run.display()",
    "run.load()['config']",
    "sorted(run.load())",
    "run.load_full_data()['displayName']",
    "run.summary['loss']",
    "run.summary.loss",
    "run.summary[' loss ']",
    "run.summary['val/x']['max']",
    "run.summary['nothing']",
    "run.summary['val/x']['nothing']",
    "run.summary.get('nothing', 3)",
    "run.summary.get('loss')",
    "'loss' in run.summary, 'nothing' in run.summary",
    "sorted(run.summary.keys())",
    "sorted(key for key, _ in run.summary.items())",
    "dict(run.summary)['loss']",
    "dict(run.summary['val/x'])",
    "eval(repr(run.summary))",
    "run.summary._json_dict is run.summary_metrics",
    "[file.name for file in run.files()]",
    "[file.name for file in run.files(per_page=2)]",
    "[file.name for file in run.files(names=['note.txt', 'sub/a.json'])]",
    "[file.name for file in run.files(names=['nothing'])]",
    "[file.name for file in run.files(pattern='%.json')]",
    "[file.name for file in run.files(pattern='note.t_t')]",
    "len(run.files()), len(run.files(names=['note.txt']))",
    "run.files()[1].name, [file.name for file in run.files(per_page=1)[0:3]]",
    "run.files(['note.txt'], '%.txt')",
    "repr(run.files())",
    "run.file('nothing')",
    "repr(run.file('note.txt'))",
    *(
        f"run.file('note.txt').{field}"
        for field in (
            "name",
            "size",
            "md5",
            "mimetype",
            "updated_at",
            "id",
            "url",
            "direct_url",
        )
    ),
    "run.file('note.txt').nothing",
    "read(run.file('sub/a.json').download())",
    "run.file('sub/a.json').download()",
    "read(run.file('sub/a.json').download(exist_ok=True))",
    "read(run.file('sub/a.json').download(replace=True))",
    "read(run.file('note.txt').download(root='down'))",
    "read(run.file('note.txt').download('down', False, True))",
    "[repr(line) for line in run.console_logs()]",
    "[repr(line) for line in run.console_logs(per_page=1)]",
    "[line.content for line in run.console_logs(last=1)]",
    "[type(line).__name__ for line in run.console_logs()]",
    "repr(run.console_logs())",
    "run.wait_until_finished()",
    "run.update_state('pending')",
    "run.update_state('finished')",
    "type(run.download_history_exports('exports')).__name__",
    "[str(path) for path in run.download_history_exports('exports').paths]",
    "run.download_history_exports('exports', True).contains_live_data",
    "run.download_history_exports('exports').errors",
    "run.upload_file('nothing.txt')",
    "run.upload_file('/')",
]

LIVE_READS = [
    "run.state",
    "run.metadata",
    "run.commit",
    "list(run.files()), len(run.files())",
    "list(run.console_logs())",
    "run.download_history_exports('live')",
    "run.download_history_exports('live', require_complete_history=False).contains_live_data",
    "run.download_history_exports('live', False).paths",
]

CHANGE = r"""
import datetime, enum, math, numpy

class Color(enum.Enum):
    RED = 1

run.name = "renamed"
run.notes = "new notes"
run.tags = ["a", "b"]
run.group = "other group"
run.job_type = "evaluate"
run.description = "described"
run.config["lr"] = 0.5
run.config["added"] = {"list": [1, 2.5, "x", None]}
run.config["nan"] = math.nan
del run.config["net"]
run.summary["number"] = numpy.float32(0.5)
run.summary["count"] = numpy.int64(3)
run.summary["nan"] = math.nan
run.summary["infinite"] = math.inf
run.summary["day"] = datetime.date(2026, 1, 2)
run.summary["short"] = numpy.arange(3)
run.summary["one"] = numpy.array([[7]])
run.summary["long"] = numpy.arange(100.0)
run.summary["color"] = Color.RED
run.summary["text"] = b"bytes"
run.summary[" spaces "] = 1
run.summary["nested"] = {"a": 1, "b": {"c": math.nan}}
run.summary["nested"]["b"]["d"] = 2
run.summary.attribute = "set"
run.summary["val/x"]["max"] = 99
del run.summary["epoch"]
run.summary.update({"updated": True, "items": {1}, "nested2": {"x": [math.nan]}})
run.summary.update({"updated": False, "fresh": 1}, overwrite=False)
run.update()
"""
