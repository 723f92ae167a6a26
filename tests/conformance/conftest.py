"""The scripts are run as users run them: `test_scripts.py` starts them, nothing imports them."""

collect_ignore = ["scripts"]
