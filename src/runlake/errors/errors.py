"""All errors under wandb's import path: ``from runlake.errors.errors import CommError``."""

from runlake.errors import *  # noqa: F403 - every public name, also those added later
