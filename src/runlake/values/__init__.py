"""Frozen values that every layer uses, and checks of arguments.

To understand this package, begin with `question`, which describes a read of a run; then read
`paths`. Both use `arguments`.
"""

from runlake.values.arguments import (
    DAY,
    check_count,
    check_flag,
    check_number,
    check_seconds,
    check_text,
    check_whole,
    check_word,
    parse_age,
    parse_bytes,
)
from runlake.values.branch_point import BranchPoint, find_branch_point
from runlake.values.config_entries import INTERNAL_CONFIG, unwrapped
from runlake.values.paths import (
    ArtifactPath,
    ProjectPath,
    RunPath,
    is_url,
    split_url,
    url_parts,
)
from runlake.values.progress import ProgressOption, ProgressUpdate
from runlake.values.question import (
    DEFAULT_ORDER,
    KEY_KINDS,
    RUN_ID,
    STEP,
    How,
    KeyKind,
    Projection,
    Question,
    Row,
    StepRange,
)

__all__ = [
    "DAY",
    "DEFAULT_ORDER",
    "INTERNAL_CONFIG",
    "KEY_KINDS",
    "RUN_ID",
    "STEP",
    "ArtifactPath",
    "BranchPoint",
    "How",
    "KeyKind",
    "ProgressOption",
    "ProgressUpdate",
    "ProjectPath",
    "Projection",
    "Question",
    "Row",
    "RunPath",
    "StepRange",
    "check_count",
    "check_flag",
    "check_number",
    "check_seconds",
    "check_text",
    "check_whole",
    "check_word",
    "find_branch_point",
    "is_url",
    "parse_age",
    "parse_bytes",
    "split_url",
    "unwrapped",
    "url_parts",
]
