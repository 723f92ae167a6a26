"""Error messages for names of the wandb SDK that runlake lacks; each says what to use instead."""

from __future__ import annotations

LOG = "runlake reads what was logged and logs nothing: log with wandb; read with runlake."
MEDIA = f"{LOG} Logged media are files of the run: runlake.Api().run(path).files()."
ARTIFACT = f"{LOG} An existing artifact: runlake.Api().artifact(name)."
SWEEP = "Sweeps are started with wandb; runlake.Api().sweep(path) reads one."
SCREEN = "It writes the SDK's lines to the screen; use print, warnings or logging."
ADMIN = "It administers an account at W&B, and runlake only reads runs; use wandb.Api() for it."
LAUNCH = "It belongs to W&B's launch service, and runlake only reads runs; use wandb.Api() for it."
REPORT = "It belongs to reports of the web application; use wandb.Api() for it."
INSIDE = "It is not part of the interface that reads runs; import it from wandb."
RUN = "It belongs to the process that logs; runlake.Api().run(path) reads what it logged."

_MODULE = {
    LOG: (
        "AlertLevel alert define_metric finish init join log mark_preempting save setup "
        "teardown attach unwatch watch require patched pin_config_keys ensure_configured"
    ),
    MEDIA: (
        "Audio Classes Graph Html Image JoinedTable Molecule Object3D Plotly Video box3d "
        "data_types plot plot_table"
    ),
    ARTIFACT: "link_model log_artifact log_model use_artifact use_model",
    SWEEP: "agent agents controller sweep wandb_agent",
    SCREEN: "termerror termlog termsetup termwarn",
    RUN: "run",
    f"{LOG} Logged tables: runlake.Api().run(path).table(key).": "EvalTable Table",
    f"{LOG} Logged histograms are values in the history.": "Histogram",
    f"{RUN[:-1]}, runlake.Api().run(path).config its config.": "Config config",
    f"{RUN[:-1]}, runlake.Api().run(path).summary its summary.": "summary",
    "Use runlake.Api().run(path).file(name).download().": "restore",
    "Use arguments of runlake.Api(), or the environment.": "Settings",
    "Use runlake.Api().": "InternalApi PublicApi api",
    ADMIN: "automations",
    INSIDE: (
        "analytics annotations catboost env gym helper integration jupyter keras lightgbm "
        "profiler proto docker sacred sagemaker_auth sdk sklearn tensorboard tensorflow "
        "trigger util visualize wandb wandb_lib wandb_sdk wandb_torch xgboost"
    ),
}
_API = {
    ADMIN: (
        "automation automations create_automation create_registry create_team create_user "
        "delete_automation integrations organization registries registry slack_integrations "
        "update_automation user users webhook_integrations"
    ),
    LAUNCH: "create_run_queue job list_jobs queued_run run_queue upsert_run_queue",
    REPORT: "create_custom_chart reports",
    LOG: "sync_tensorboard",
}
_RUN = {
    LOG: (
        "alert config_static define_metric finish join log log_code log_model mark_preempting "
        "status unwatch watch write_logs"
    ),
    ARTIFACT: "finish_artifact link_artifact link_model upsert_artifact use_model",
    "Use run.file(name).download().": "restore",
    "Use run.created_at and run.heartbeat_at.": "start_time",
    "Use run.lastHistoryStep, the last step that was logged.": "step",
    "Use run.sweep_name.": "sweep_id",
    "Use run.project.": "project_name",
    "Use run.url.": "get_url project_url sweep_url",
}
_ARTIFACT = {
    "Make the next version with wandb: wandb.Artifact(name, type) and run.log_artifact.": (
        "add add_dir add_file add_reference get_added_local_path_name new_draft new_file remove"
    ),
}
_SWEEP = {
    "runlake.Api().sweep(path) reads a sweep, and sweep.runs lists its runs.": "get",
    "Agents are started with wandb; sweep.runs lists the runs.": "agent agents enqueue_run",
}
_USER = {ADMIN: "create delete_api_key generate_api_key user_api"}
_TEAM = {
    ADMIN: "create create_service_account invite",
    "runlake.Api().team(name) reads the team again.": "load",
}
_PUBLIC = {
    ADMIN: (
        "Automations Integrations Organization Registries Registry SlackIntegrations "
        "WebhookIntegrations"
    ),
    LAUNCH: (
        "Job QueuedRun RunQueue RunQueueAccessType RunQueuePrioritizationMode RunQueueResourceType"
    ),
    REPORT: "BetaReport PanelMetricsHelper PythonMongoishQueryGenerator QueryGenerator Reports",
    "runlake.Api().runs(path, {'sweep': id}) lists the runs of a sweep.": "AgentRuns",
}


def _by_name(texts: dict[str, str]) -> dict[str, str]:
    return {name: text for text, names in texts.items() for name in names.split()}


INSTEAD = {
    "runlake": _by_name(_MODULE),
    "Api": _by_name(_API),
    "Run": _by_name(_RUN),
    "Artifact": _by_name(_ARTIFACT),
    "Sweep": _by_name(_SWEEP),
    "User": _by_name(_USER),
    "Team": _by_name(_TEAM),
    "Member": {"delete": ADMIN},
    "runlake.apis.public": _by_name(_PUBLIC),
}


def say_missing(owner: str, name: str, sentence: str) -> str:
    """Return an error message for a missing name; it says what to use instead if that is known.

    Parameters
    ----------
    owner : str
        The class or module that does not have the name; a key of `INSTEAD`.
    name : str
        The missing name.
    sentence : str
        Python's own error message, without a full stop.

    Returns
    -------
    str
        The sentence, followed by what to use instead if that is known.

    Examples
    --------
    >>> say_missing("Api", "users", "'Api' object has no attribute 'users'").partition(". ")[2]
    'It administers an account at W&B, and runlake only reads runs; use wandb.Api() for it.'
    """
    instead = INSTEAD.get(owner, {}).get(name)
    return sentence if instead is None else f"{sentence}. {instead}"
