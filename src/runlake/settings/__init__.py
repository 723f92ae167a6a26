"""The settings: environment, netrc and settings files, as one frozen value.

No other package of the client reads the environment. To understand this package, begin with
`settings`, which has the values, and `load`, which decides the source of each value. Then read
`environment`, `settings_files` and `api_keys`, which read these sources. Add a new setting to
`Settings` and `load_settings`.
"""

from runlake.settings.api_keys import find_api_key, remember_login
from runlake.settings.environment import child_environment
from runlake.settings.load import load_settings
from runlake.settings.proxies import EnvironmentProxies, find_proxies
from runlake.settings.secret import Secret
from runlake.settings.settings import Settings

__all__ = [
    "EnvironmentProxies",
    "Secret",
    "Settings",
    "child_environment",
    "find_api_key",
    "find_proxies",
    "load_settings",
    "remember_login",
]
