"""Runs scripts one after the other in one process and one folder.

``python run_scripts.py WAY ENTITY PROJECT OUTPUT SCRIPT...``. The way is ``wandb``, ``runlake``
(imports are changed, nothing else) or ``accelerate`` (runlake is lent to the SDK first). The file
OUTPUT gets what each script printed, as JSON. The folder stays the same for all scripts because the
SDK's own process downloads to the one in which it was started.
"""

import contextlib
import io
import json
import re
import runpy
import sys
import traceback
import warnings
from pathlib import Path


def main():
    way, entity, project, output, *scripts = sys.argv[1:]
    warnings.simplefilter("ignore")
    if way == "accelerate":
        import runlake

        runlake.accelerate(quiet=True)
    printed = {}
    for script in map(Path, scripts):
        code = script.read_text()
        if way == "runlake":
            code = re.sub(r"^import wandb$", "import runlake as wandb", code, flags=re.MULTILINE)
            code = re.sub(r"^from wandb\b", "from runlake", code, flags=re.MULTILINE)
        copy = Path(output).with_name(script.name)
        copy.write_text(code)
        sys.argv = [script.name, entity, project]
        with contextlib.redirect_stdout(io.StringIO()) as stdout:
            try:
                runpy.run_path(str(copy), run_name="__main__")
            except Exception:  # noqa: BLE001 - the test shows it, and fails
                stdout.write(traceback.format_exc())
        printed[script.stem] = stdout.getvalue()
    Path(output).write_text(json.dumps(printed))


if __name__ == "__main__":
    main()
