"""Convert errors of polars, pyarrow or DuckDB about a broken file to `CacheCorrupt`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from runlake.cache.disk.links import set_times
from runlake.errors import CacheCorrupt, RunlakeError
from runlake.history.decode.engines import engine_of


@contextmanager
def telling_corruption(*files: Path) -> Iterator[None]:
    """Convert an engine's error in the ``with`` block to a `CacheCorrupt` that names the files."""
    try:
        yield
    except OSError as error:
        raise _corrupt(files, error) from error
    except RunlakeError:
        raise
    except (ValueError, LookupError, ArithmeticError, TypeError, RecursionError) as error:
        # Engines and codecs raise these for values that no writer would write.
        raise _corrupt(files, error) from error
    except BaseException as error:
        # Other errors of engines, and panics, which are not Exceptions.
        if engine_of(error) is None:
            raise
        raise _corrupt(files, error) from error


@contextmanager
def passing_over_corruption() -> Iterator[None]:
    """End the ``with`` block silently if an engine cannot read a file.

    The caller then reads the file in another way.
    """
    with suppress(CacheCorrupt), telling_corruption():
        yield


def _corrupt(files: tuple[Path, ...], error: BaseException) -> CacheCorrupt:
    names = " or ".join(repr(str(file)) for file in files)
    for file in files:
        # A changed modification time makes the next read check the file against its checksum.
        with suppress(OSError):
            set_times(file)
    return CacheCorrupt(
        f"The cached export {names} cannot be read ({error}). Read again: runlake then compares it "
        "with its checksum, and downloads it again if it is damaged.",
        path=str(files[0]) if files else None,
        paths=tuple(map(str, files)),
        engine=engine_of(error),
    )
