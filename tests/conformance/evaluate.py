"""Prints one client's answers to the rows of the table as JSON; run as a process of its own.

``python evaluate.py CLIENT PATH_OF_RUN``, rows on standard input, answers on standard output. The
client is ``wandb`` or ``runlake``; a row sees it under the name ``wandb``, as a script does that
changes one import line.
"""

import ast
import importlib
import json
import math
import sys
import traceback
import warnings
from datetime import date, datetime
from pathlib import Path


def main():
    client, path = sys.argv[1:3]
    entity, project, _ = path.split("/")
    module = importlib.import_module(client)
    api = module.Api()
    names = {
        "wandb": module,
        "api": api,
        "run": api.run(path),
        "path": path,
        "entity": entity,
        "project": project,
        "Path": Path,
        "is_runlake": client == "runlake",
    }
    answers = [answer(row["code"], names, project) for row in json.load(sys.stdin)]
    Path(sys.argv[3]).write_text(json.dumps(answers))


def answer(code, names, project):
    told = []
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            value = evaluate(code, names)
            described = describe(value, project)
    except Exception as error:  # noqa: BLE001 - whatever a client raises is its answer
        bases = [kind.__name__ for kind in type(error).__mro__]
        # What a script catches by another name of the module, such as ``Error``.
        module = names["wandb"]
        bases += [n for n in dir(module) if getattr(module, n, None) in type(error).__mro__]
        return {
            "error": type(error).__name__,
            "bases": bases,
            "text": str(error),
            "trace": traceback.format_exc(),
        }
    return {
        "type": type(value).__name__,
        "value": described,
        "warnings": sorted({warning.category.__name__ for warning in told}),
    }


def evaluate(code, names):
    """Run statements and return the value of the last one, as a notebook does."""
    tree = ast.parse(code)
    last = ast.Expression(tree.body.pop().value)
    exec(compile(tree, "<row>", "exec"), names)
    return eval(compile(last, "<row>", "eval"), names)


def describe(value, project):
    """Return a value as JSON in which bool differs from int, and NaN from a missing value."""
    if isinstance(value, dict):
        return {str(k): describe(v, project) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        items = sorted(value, key=repr) if isinstance(value, (set, frozenset)) else value
        return [describe(item, project) for item in items]
    if type(value).__name__ == "DataFrame":
        return describe_frame(value, project)
    return describe_cell(value, project)


def describe_cell(value, project):
    if isinstance(value, (str, Path, datetime, date)):
        return str(value).replace(project, "PROJECT")
    is_odd = isinstance(value, float) and not math.isfinite(value)
    if value is None or isinstance(value, bool) or is_odd:
        return repr(value)
    return value if isinstance(value, (int, float)) else f"<{type(value).__name__}>"


def describe_frame(frame, project):
    if hasattr(frame, "to_dicts"):
        rows = frame.to_dicts()
    else:
        rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    package = type(frame).__module__.partition(".")[0]
    return {
        "package": package,
        "columns": describe(list(frame.columns), project),
        "rows": [describe(row, project) for row in rows],
    }


if __name__ == "__main__":
    main()
