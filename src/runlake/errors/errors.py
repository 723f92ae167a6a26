"""The same errors under W&B's import path: ``from runlake.errors.errors import CommError``."""

from runlake.errors import *  # noqa: F403 - every name, whatever is added there
