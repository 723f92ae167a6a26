"""A plan as a polars frame: exports scanned lazily, live rows beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import polars as pl
import pyarrow as pa

from runlake.history.cells import UNION_PREFIX
from runlake.history.plan import ExportRead, Plan
from runlake.values import STEP, Projection, Row

JSON_CELL = "cell"


@dataclass(frozen=True, slots=True)
class Scanned:
    """A plan as a lazy frame.

    Parameters
    ----------
    frame : polars.LazyFrame
        ``_step`` (Int64, ascending, unique), then a column per key: in the order asked for, or in
        the order of the exports. Integers and floats of one key unify to floats.
    json_keys : tuple of str
        Keys with incompatible types, whose columns are JSON text.
    """

    frame: pl.LazyFrame
    json_keys: tuple[str, ...]


def scan_plan(plan: Plan, read_live: Callable[[], Sequence[Row]]) -> Scanned:
    """Return what a plan reads as a lazy frame.

    Parameters
    ----------
    plan : Plan
        What to read.
    read_live : callable
        Reads the live rows; called once, now: the frame is a picture of this moment.

    Returns
    -------
    Scanned
        Only rows that the plan's projection keeps.
    """
    live = pa_table(read_live()) if plan.live_pages or plan.is_walk else None
    types = unified_types(plan, live)
    frame = _filtered(_combined(plan, live, types), plan.projection)
    return Scanned(frame, tuple(key for key, kind in types.items() if kind is None))


def _combined(
    plan: Plan, live: pa.Table | None, types: dict[str, pa.DataType | None]
) -> pl.LazyFrame:
    frames = [_scan_export(read, plan, types) for read in _source_order(plan)]
    if live is not None and live.num_rows:
        frames.append(_select(pl.from_arrow(live).lazy(), live.schema, types))  # type: ignore[union-attr]
    if not frames:
        return pl.LazyFrame(schema={STEP: pl.Int64, **{k: _dtype(t) for k, t in types.items()}})
    if plan.needs_merge:
        numbered = [
            frame.with_columns(pl.lit(index).alias("__source"))
            for index, frame in enumerate(frames)
        ]
        merged = pl.concat(numbered).sort(STEP, "__source", maintain_order=True)
        columns = [pl.col(key).drop_nulls().last() for key in types]
        return merged.group_by(STEP, maintain_order=True).agg(columns)
    return pl.concat(frames)


def _filtered(frame: pl.LazyFrame, projection: Projection) -> pl.LazyFrame:
    if not projection.keys:
        return frame
    present = [pl.col(key).is_not_null() for key in projection.keys]
    combine = pl.all_horizontal if projection.how == "all" else pl.any_horizontal
    return frame.filter(combine(present))


def unified_types(plan: Plan, live: pa.Table | None) -> dict[str, pa.DataType | None]:
    """Return the Arrow type of each key over all sources; None where it has to be JSON text."""
    schemas = [read.facts.schema for read in plan.in_step_order]
    schemas += [live.schema] if live is not None else []
    keys = plan.projection.keys
    if keys is None:
        names = chain.from_iterable(schema.names for schema in schemas)
        keys = tuple(name for name in dict.fromkeys(names) if name != STEP)
    types: dict[str, pa.DataType | None] = {}
    for key in keys:
        held = [schema.field(key).type for schema in schemas if key in schema.names]
        types[key] = _unify(held) if held else pa.null()
    return types


def pa_table(rows: Sequence[Row]) -> pa.Table:
    """Return rows as an Arrow table; a key whose cells fit no type is a union of JSON text."""
    keys = dict.fromkeys(chain.from_iterable(rows))
    columns = {key: _live_column([row.get(key) for row in rows]) for key in keys}
    columns[STEP] = pa.array([row[STEP] for row in rows], pa.int64())
    return pa.table(columns)


def _live_column(cells: list[Any]) -> pa.Array:
    try:
        return pa.array(cells)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        import json

        texts = [None if cell is None else json.dumps(cell).encode() for cell in cells]
        return pa.array(texts, pa.binary())


def _unify(kinds: Sequence[pa.DataType]) -> pa.DataType | None:
    unified = kinds[0].value_type if pa.types.is_dictionary(kinds[0]) else kinds[0]
    for kind in kinds:
        merged = _unify_two(unified, kind.value_type if pa.types.is_dictionary(kind) else kind)
        if merged is None:
            return None
        unified = merged
    return unified if is_plain(unified) else None


def _unify_two(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    if _is_number(one) and _is_number(other):
        return pa.float64()
    return None


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def is_plain(kind: pa.DataType) -> bool:
    """Tell whether a column is read as it is stored, and not as JSON text."""
    return not (pa.types.is_binary(kind) or pa.types.is_dictionary(kind) or _is_union(kind))


def _is_union(kind: pa.DataType) -> bool:
    return bool(pa.types.is_struct(kind)) and all(f.name.startswith(UNION_PREFIX) for f in kind)


def _dtype(kind: pa.DataType | None) -> pl.DataType:
    if kind is None:
        return pl.String()
    empty = pl.from_arrow(pa.array([], kind))
    return empty.dtype  # type: ignore[union-attr]


def _source_order(plan: Plan) -> tuple[ExportRead, ...]:
    return plan.exports if plan.needs_merge else plan.in_step_order


def _scan_export(
    read: ExportRead, plan: Plan, types: dict[str, pa.DataType | None]
) -> pl.LazyFrame:
    frame = pl.scan_parquet(read.file)
    step = pl.col(STEP)
    schema = read.facts.schema
    if not read.facts.is_ascending:
        frame = frame.filter(step.is_not_null())
        if pa.types.is_floating(schema.field(STEP).type):
            frame = frame.filter(step.is_finite())
    if not plan.steps.covers(read.facts.first_step or 0, read.facts.last_step or 0):
        frame = frame.filter(step >= plan.steps.start)
        if plan.steps.stop is not None:
            frame = frame.filter(step < plan.steps.stop)
    return _select(frame, schema, types)


def _select(
    frame: pl.LazyFrame, schema: pa.Schema, types: dict[str, pa.DataType | None]
) -> pl.LazyFrame:
    columns = [pl.col(STEP).cast(pl.Int64)]
    for key, kind in types.items():
        if key not in schema.names:
            columns.append(pl.lit(None, _dtype(kind)).alias(key))
        elif kind is None:
            columns.append(_json_text(key, schema.field(key).type))
        elif schema.field(key).type == kind:
            columns.append(pl.col(key))
        else:
            columns.append(pl.col(key).cast(_dtype(kind)))
    return frame.select(columns)


def _json_text(key: str, kind: pa.DataType) -> pl.Expr:
    cell = pl.col(key)
    if pa.types.is_binary(kind):
        return cell.cast(pl.String)
    if _is_union(kind):
        members = [cell.struct.field(f.name) for f in kind]
        texts = [
            m.cast(pl.String) if pa.types.is_binary(f.type) else encode_json(m)
            for m, f in zip(members, kind, strict=True)
        ]
        return pl.coalesce(texts).alias(key)
    return encode_json(cell).alias(key)


def encode_json(cell: pl.Expr) -> pl.Expr:
    """Encode any cell as JSON; polars does it for structs, hence the wrapping and unwrapping."""
    wrapped = pl.struct(cell.alias(JSON_CELL)).struct.json_encode()
    text = wrapped.str.slice(len(f'{{"{JSON_CELL}":')).str.head(-1)
    return pl.when(cell.is_not_null()).then(text)
