"""Pack at the end of a pull, if enough runs were pulled since the last pack."""

from __future__ import annotations

import logging

from runlake.cache.catalog import Catalog
from runlake.errors import MissingExtra
from runlake.lake.packed.place import PackedPlace
from runlake.settings import Settings

logger = logging.getLogger("runlake.lake")
PULLED_SINCE = "SELECT count(*) FROM runs WHERE is_complete AND pulled_at > ?"


def pack_after_pull(settings: Settings) -> None:
    """Pack the lake if at least ``settings.pack_runs`` runs were pulled since the last pack.

    Only runs that are complete on disk are counted. The pull succeeds in any case. If the extra
    ``lake`` is not installed, or packing fails, the runs are still read from their exports.

    Parameters
    ----------
    settings : Settings
        The settings of the lake. If ``pack_runs`` is 0, this function never packs.
    """
    if not settings.pack_runs:
        return
    place = PackedPlace(settings.cache_dir)
    rows = Catalog(settings.cache_dir).select(PULLED_SINCE, (_packed_at(place),))
    if not rows or rows[0][0] < settings.pack_runs:
        return
    from runlake.lake.packed.pack import pack

    try:
        report = pack(settings)
    except MissingExtra as missing:
        logger.debug("The lake is not packed: %s", missing)
    except Exception as error:  # noqa: BLE001 - the pull is done, whatever happens here
        logger.warning("The lake could not be packed after the pull: %s", error)
    else:
        logger.info("%s", report)


def _packed_at(place: PackedPlace) -> float:
    """Return when the packed tables last changed, in seconds since 1970; 0 without tables."""
    try:
        return place.catalog.stat().st_mtime
    except OSError:
        return 0.0
