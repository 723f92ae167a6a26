"""Requests that once ended in HTTP 500."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.fuzz.odd_values import DEEP, DIGITS

MANY = ["n"] * 30_000
DEEP_OBJECT = '{"a":' * DEEP + "1" + "}" * DEEP
CURSORS = (DIGITS, "MTIz" * 3_000, "\u0661")
BODIES = (
    b'{"query": 1}',
    b'{"query": "{ viewer { id } }", "variables": [1]}',
    b'{"query": "{ viewer { id } }", "variables": "x"}',
    b'{"query": "{ viewer { id } }", "operationName": {"a": 1}}',
    b'{"query": "{ viewer { id } }", "variables": {"a": ' + b"[" * 100_000 + b"}}",
    b'[{"query": "{ viewer { id } }"}]',
)
PROJECT_FIELDS = tuple(
    ("String", f"{field}(after: $v) {{ edges {{ cursor }} }}", cursor)
    for field in ("runs", "sweeps", "artifactTypes", "artifactCollections")
    for cursor in CURSORS
)
# Type of the variable, field of the run, and value.
RUN_FIELDS: tuple[tuple[str, str, Any], ...] = (
    ("String", "files(after: $v) { edges { cursor } }", DIGITS),
    ("String", "logLines(after: $v) { edges { cursor } }", DIGITS),
    ("String", "outputArtifacts(after: $v) { edges { cursor } }", DIGITS),
    ("String", "inputArtifacts(after: $v) { edges { cursor } }", DIGITS),
    ("Int64", "history(minStep: $v)", 2**63),
    ("Int64", "history(maxStep: $v)", 10**400),
    ("Int64", "history(minStep: $v)", "1"),
    ("[JSONString!]!", "sampledHistory(specs: $v)", ['{"maxStep": 9223372036854775808}']),
    ("[JSONString!]!", "sampledHistory(specs: $v)", ['{"minStep": 1e400}']),
    ("[JSONString!]!", "sampledHistory(specs: $v)", [json.dumps({"keys": MANY})]),
    (
        "[JSONString!]!",
        "sampledHistory(specs: $v)",
        [json.dumps({"keys": [f"k{number}" for number in range(5_000)]})],
    ),
    ("[JSONString!]!", "sampledHistory(specs: $v)", [DEEP_OBJECT]),
    ("[JSONString!]!", "sampledHistory(specs: $v)", [1]),
    ("[JSONString!]!", "sampledHistory(specs: $v)", ["{}"] * 20_000),
    ("[String!]!", "parquetHistory(liveKeys: $v) { liveData }", MANY),
    ("[String]", "files(names: $v) { edges { cursor } }", MANY),
    ("String", "files(pattern: $v) { edges { cursor } }", "%a" * 60_000),
    ("String", "files(pattern: $v) { edges { cursor } }", "a\\"),
    ("[String!]", "wandbConfig(keys: $v)", MANY),
    ("[String!]", "wandbConfig(keys: $v)", []),
)
OF_RUN = 'entityName: "ENTITY", projectName: "PROJECT", runName: "RUN"'
NEW_ARTIFACT = (
    'entityName: "ENTITY", projectName: "PROJECT", digest: "d", artifactTypeName: "t", '
    'artifactCollectionName: "c"'
)
# Type of the variable, mutation, and value.
MUTATIONS: tuple[tuple[str, str, Any], ...] = (
    *(
        (
            "JSONString",
            f'upsertBucket(input: {{modelName: "PROJECT", name: "x", {field}: $v}})',
            value,
        )
        for field in ("config", "summaryMetrics")
        for value in (DEEP_OBJECT, 1, "1" * 5_000, '{"\\ud800": 1}')
    ),
    ("Float!", f'rewindRun(input: {{{OF_RUN}, metricName: "_step", metricValue: $v}})', 1e308),
    ("[String!]!", f"createRunFiles(input: {{{OF_RUN}, files: $v}})", MANY * 10),
    ("[ID!]!", "deleteFiles(input: {files: $v})", MANY),
    *(
        (
            "Int64",
            f"createArtifact(input: {{{NEW_ARTIFACT}, {field}: $v}})",
            value,
        )
        for field in ("historyStep", "ttlDurationSeconds")
        for value in (2**63, 10**400, 1.5)
    ),
    (
        "JSONString",
        'upsertBucket(input: {modelName: "PROJECT", name: "RUN", config: $v})',
        '{"_wandb": [1]}',
    ),
)


def known_documents(entity: str, project: str, run: str) -> Iterator[tuple[str, Any]]:
    """Yield documents, each with the value of its variable ``v``."""
    names = (("ENTITY", entity), ("PROJECT", project), ("RUN", run))
    of_project = 'query($v: {}) {{ project(name: "PROJECT", entityName: "ENTITY") {{ {} }} }}'
    of_run = of_project.replace("{{ {} }}", '{{ run(name: "RUN") {{ {} }} }}', 1)
    for form, tried in (
        ("mutation($v: {}) {{ {} {{ __typename }} }}", MUTATIONS),
        (of_project, PROJECT_FIELDS),
        (of_run, RUN_FIELDS),
    ):
        for kind, field, value in tried:
            document = form.format(kind, field)
            for name, actual in names:
                document = document.replace(name, actual)
            yield document, value
