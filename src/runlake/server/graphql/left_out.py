"""Names the features of W&B that this backend leaves out, for requests that need one of them."""

from __future__ import annotations

import re
from collections.abc import Sequence

# For each feature, a pattern of the fields, arguments and types of W&B's schema that belong to it.
FEATURES = {
    "Automations are": (
        r"\w*[tT]rigger\w*|\w*Automation\w*|\w*[iI]ntegrations?|CreateGenericWebhook\w*|ARIA\w*"
    ),
    "Launch queues, jobs and agents are": (
        r"\w*[rR]unQueue\w*|\w*[lL]aunch\w*|\w*[dD]efaultResourceConfig|\w*[jJ]obs?"
    ),
    "Registries and organizations are": (
        r"\w*[rR]egistr\w*|organizations?|orgEntity|renameProject|deleteModel|"
        r"\w*Project(Team)?Members?(Input)?|RenameProjectInput|ArtifactCollectionType"
    ),
    "Reports are": r"allViews|\w*View(Input)?|view|\w*Report\w*|\w*[cC]ustomChart\w*",
    "Agents and schedulers of sweeps are": (
        r"agents?|Agent|createAgent|agentHeartbeat|upsertSweep|enqueueSweepRun|controller|scheduler"
    ),
    "The administration of users, teams and keys is": (
        r"users|create(Team|User|Invite|ServiceAccount)|deleteInvite|(delete|generate)ApiKey"
    ),
}
QUOTED = re.compile(r"'(?:\w+\.)?(\w+)'")


def named_feature(problems: Sequence[str]) -> str | None:
    """Return a sentence that names the missing W&B feature that a document needs, or None.

    Parameters
    ----------
    problems : sequence of str
        Error messages about the document, with the names of fields and types in quotes.

    Examples
    --------
    >>> named_feature(["Cannot query field 'runQueue' on type 'Project'."])
    'Launch queues, jobs and agents are not part of this backend.'
    """
    missing = [found[1] for found in map(QUOTED.search, problems) if found]
    for feature, pattern in FEATURES.items():
        if any(re.fullmatch(pattern, name) for name in missing):
            return f"{feature} not part of this backend."
    return None
