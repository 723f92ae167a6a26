"""Values that no client sends by mistake: of any type, and of each scalar of the schema."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

DEEP = 3_000
DIGITS = "9" * 5_000
TEXTS: tuple[str, ...] = (
    "",
    " ",
    "\0",
    "a\0b",
    "\n",
    "\ud800",
    "a\udcffb",
    "\u00e9\u0660",
    "\U0001f600",
    "x" * 300,
    "x" * 6_000,
    "/" * 3_000,
    "a/" * 2_100 + "a",
    "..",
    "../../x",
    "a/../b",
    "./c.txt",
    "a//b",
    "a",
    "a/b",
    "a/b/c",
    "'",
    '"',
    "%",
    "%00",
    "\\",
    "a:b",
    "v1",
    "set:v" + "9" * 30,
    "set:latest",
    "v" + "9" * 30,
    DIGITS,
    "-1",
    "1",
    "\u0661",
    "1e999",
    "9223372036854775808",
    "null",
    "[",
    "{}",
    "[[" * DEEP,
    "_step",
    "+created_at",
    "-config.a" + ".value" * 40,
    "summary_metrics.loss",
    "+-",
)
NUMBERS: tuple[Any, ...] = (
    0,
    1,
    -1,
    2,
    10**6,
    2**31 - 1,
    -(2**31),
    2**31,
    2**53,
    2**63 - 1,
    -(2**63),
    2**63,
    10**400,
    1.5,
    -0.0,
    1e308,
    float("nan"),
    float("inf"),
)
NUMBERS_OF: dict[str, tuple[Any, ...]] = {
    "Int": (0, 1, -1, 2, 10**6, 2**31 - 1, -(2**31)),
    "Int64": (0, 1, -1, 2**31, 2**53, 2**63 - 1, -(2**63), 2**63, 10**400),
    "Float": (0.0, -1.5, 1e308, 2**63, 10**30),
    "Duration": (0, -1, 2**63, "1h"),
}
RARELY = 0.02
OTHERS: tuple[Any, ...] = (None, True, False, [], {}, [None], [[]], {"a": None}, {"": {"": []}})
TYPES = ("Run", "Project", "Artifact", "ArtifactSequence", "ArtifactPortfolio", "File")
FIELDS = (
    "config.lr",
    "config.a.value.value",
    "summary_metrics.loss",
    "state",
    "tags",
    "created_at",
    "duration",
    "keys_info.keys.loss",
    "display_name",
    "name",
    "nope",
    "",
    "\ud800",
)
OPERATORS = ("$eq", "$ne", "$in", "$nin", "$gt", "$lte", "$regex", "$exists", "$all", "$not", "$x")
DATES = ("2026-01-01T##", "2026-01-01T00:00:00", "9999-12-31", "2026-99", "0001-01-01T00:00:00Z")
PATTERNS = ("(", "a{99999999}", "^x.*$", "[", "\\", "(?P<a>", "\0")


def odd_text(rng: random.Random) -> str:
    return rng.choice(TEXTS)


def odd_id(rng: random.Random) -> str:
    """Return what looks like an id of the backend, or nearly."""
    number = rng.choice(("0", "1", "-1", DIGITS, str(2**63), str(2**62), "\u0661", "", "x", "1_0"))
    text = f"{rng.choice(TYPES)}{rng.choice((':v1:', ':v2:', ':'))}{number}"
    return base64.b64encode(text.encode()).decode()


def odd_cursor(rng: random.Random) -> str:
    values: tuple[Any, ...] = (
        ["+created_at", 1e999, 1],
        ["+created_at", "x", 2**62],
        ["+created_at", 1, True],
        ["+created_at", None, -1],
        ["+created_at", 10**30, 1],
        [],
        {},
        1,
    )
    return base64.urlsafe_b64encode(json.dumps(rng.choice(values)).encode()).decode()


def odd_filter(rng: random.Random, depth: int = 3) -> Any:
    """Return a filter of runs, a wrong one now and then."""
    if depth and rng.random() < 0.3:
        word = rng.choice(("$and", "$or", "$nor", "$not"))
        parts = [odd_filter(rng, depth - 1) for _ in range(rng.randrange(3))]
        return {word: rng.choice((parts, *parts))}
    operand = rng.choice((*TEXTS, *NUMBERS, *OTHERS, *DATES, *PATTERNS, "finished", 0.5))
    if rng.random() < 0.3:
        operand = [operand, rng.choice(OTHERS)]
    if rng.random() < 0.7:
        operand = {rng.choice(OPERATORS): operand}
    return {rng.choice(FIELDS): operand}


def odd_json(rng: random.Random) -> str:
    """Return JSON, or nearly."""
    choice = rng.randrange(6)
    if choice == 0:
        return json.dumps(odd_filter(rng))
    if choice == 1:
        return '{"a":' * DEEP + "1" + "}" * DEEP
    if choice == 2:
        return rng.choice(("", "{", "nul", "[1]", '"x"', "1" * 5_000, "NaN", '{"a":1e999}'))
    if choice == 3:
        return json.dumps({odd_text(rng): rng.choice((*NUMBERS, *OTHERS, *TEXTS))})
    if choice == 4:
        wandb = rng.choice((*OTHERS, {"value": 1}, {"value": [1]}, {"value": {"t": {}}}, 1, "x"))
        return json.dumps({"_wandb": wandb})
    sample = {"keys": ["loss"], "minStep": 0, "maxStep": 9, "samples": 5}
    sample[rng.choice(list(sample))] = rng.choice((*NUMBERS, *OTHERS, *TEXTS))
    return json.dumps(sample)


def any_value(rng: random.Random) -> Any:
    return rng.choice((odd_text(rng), rng.choice(NUMBERS), rng.choice(OTHERS), odd_id(rng)))


def odd_scalar(rng: random.Random, name: str) -> Any:
    """Return an odd value of a scalar.

    It is rarely one that GraphQL refuses before anything is done: a document has many arguments,
    and one that is refused hides what the others do.
    """
    if rng.random() < RARELY:
        return any_value(rng)
    if name == "Boolean":
        return rng.random() < 0.5
    if name in NUMBERS_OF:
        return rng.choice(NUMBERS_OF[name])
    if name == "JSONString":
        return odd_json(rng)
    if name == "JSON":
        return any_value(rng)
    return rng.choice((odd_text, odd_text, odd_id, odd_cursor, odd_json))(rng)
