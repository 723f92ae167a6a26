"""Keeps pytest from importing the scripts: `test_scripts.py` runs them as users do."""

collect_ignore = ["scripts"]
