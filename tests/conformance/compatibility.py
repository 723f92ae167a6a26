"""All rows of the compatibility table, and the members that are left out on purpose."""

from tests.conformance.api_rows import API_ROWS, LAST_ROWS
from tests.conformance.page import PAGE_METHODS, PAGE_PROPERTIES
from tests.conformance.run_rows import RUN_ROWS
from tests.conformance.table import Absent

__all__ = ["ABSENT", "PAGE_METHODS", "PAGE_PROPERTIES", "TABLE"]

TABLE = [*API_ROWS, *RUN_ROWS, *LAST_ROWS]
DRAFT_MEMBERS = (
    "add",
    "add_dir",
    "add_file",
    "add_reference",
    "get_added_local_path_name",
    "new_draft",
    "new_file",
    "remove",
)
HDF5 = "the legacy HDF5 summary file of large arrays; the backend keeps their statistics"
ADMIN = "administration of the vendor's cloud, not reading of runs"
LAUNCH = "the launch service, not reading of runs"
REPORT = "reports of the vendor's web application"
DRAFT = "new artifacts are created with the SDK; runlake reads and edits them"
ABSENT = [
    *(Absent(f"Summary.{name}", HDF5) for name in ("load", "open_h5", "read_h5", "write_h5")),
    *(
        Absent(f"Api.{name}", ADMIN)
        for name in (
            "automation",
            "automations",
            "create_automation",
            "create_registry",
            "create_team",
            "create_user",
            "delete_automation",
            "integrations",
            "organization",
            "registries",
            "registry",
            "slack_integrations",
            "update_automation",
            "user",
            "users",
            "webhook_integrations",
        )
    ),
    *(
        Absent(f"Api.{name}", LAUNCH)
        for name in (
            "create_run_queue",
            "job",
            "list_jobs",
            "queued_run",
            "run_queue",
            "upsert_run_queue",
        )
    ),
    Absent("Api.sync_tensorboard", "logging: use the SDK"),
    *(Absent(f"Artifact.{name}", DRAFT) for name in DRAFT_MEMBERS),
    *(Absent(f"Api.{name}", REPORT) for name in ("create_custom_chart", "reports")),
]
