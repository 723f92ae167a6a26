"""What engines raise about a broken file, made ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow as pa

from runlake.cache.disk.links import set_times
from runlake.errors import CacheCorrupt, RunlakeError
from runlake.history.decode.engines import engine_of


@contextmanager
def telling_corruption(*files: Path) -> Iterator[None]:
    """Turn what engines raise about a broken file into `CacheCorrupt`."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise _corrupt(files, error) from error
    except RunlakeError:
        raise
    except (ValueError, LookupError, ArithmeticError, TypeError, RecursionError) as error:
        # What engines and codecs raise about values that no writer would write.
        raise _corrupt(files, error) from error
    except BaseException as error:
        # Errors of polars and DuckDB, and panics, which are no Exception.
        if engine_of(error) is None:
            raise
        raise _corrupt(files, error) from error


@contextmanager
def passing_over_corruption() -> Iterator[None]:
    """End the block where an engine cannot read a file: somebody else reads it, and says so."""
    with suppress(CacheCorrupt), telling_corruption():
        yield


def _corrupt(files: tuple[Path, ...], error: BaseException) -> CacheCorrupt:
    names = " or ".join(repr(str(file)) for file in files)
    for file in files:
        # The next read compares a file with its checksum that was touched by somebody else.
        with suppress(OSError):
            set_times(file)
    return CacheCorrupt(
        f"The cached export {names} cannot be read ({error}). Scan again: it is compared with its "
        "checksum, and downloaded again.",
        path=str(files[0]) if files else None,
        paths=tuple(map(str, files)),
        engine=engine_of(error),
    )
