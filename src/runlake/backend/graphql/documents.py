"""The GraphQL documents that runlake sends, except documents about artifacts.

Each document is a constant, or the result of a function.

Operation names matter: a backend answers ``HistoryPage`` and ``SampledHistoryPage`` with live rows
only, because it expects that clients which send these names read all other rows from exports.
"""

from __future__ import annotations

import re

RUN_LIGHT_FIELDS = """
id name displayName state group jobType createdAt heartbeatAt description notes tags
historyLineCount sweepName commit readOnly projectId user { name username }
"""

# The JSON texts come first, because `count_fitting` measures the first three.
RUN_LARGE_FIELDS = ("config", "summaryMetrics", "systemMetrics", "historyKeys")

RUN_FIELDS = f"{RUN_LIGHT_FIELDS} {' '.join(RUN_LARGE_FIELDS)}"

RUN_FIELD_NAMES = frozenset(re.findall(r"\w+", RUN_FIELDS))

RUN = f"""
query Run($project: String!, $entity: String!, $name: String!) {{
  project(name: $project, entityName: $entity) {{ run(name: $name) {{ {RUN_FIELDS} }} }}
}}
"""

RUN_LIGHT = f"""
query Run($project: String!, $entity: String!, $name: String!) {{
  project(name: $project, entityName: $entity) {{ run(name: $name) {{ {RUN_LIGHT_FIELDS} }} }}
}}
"""


def runs(*, is_light: bool) -> str:
    """Return the query for a page of runs; ``is_light`` leaves out `RUN_LARGE_FIELDS`."""
    return _runs(RUN_LIGHT_FIELDS if is_light else RUN_FIELDS)


def runs_freshness() -> str:
    """Return the query for a page of runs: only id, state, heartbeat and history line count."""
    return _runs("name state heartbeatAt historyLineCount")


def _runs(fields: str, declared: str = "") -> str:
    # runCount makes the backend count all runs of the project, so only the first page requests it.
    return f"""
query Runs(
  $project: String!, $entity: String!, $cursor: String, $perPage: Int, $order: String,
  $filters: JSONString, $isFirst: Boolean!{declared}
) {{
  project(name: $project, entityName: $entity) {{
    runCount(filters: $filters) @include(if: $isFirst)
    runs(filters: $filters, after: $cursor, first: $perPage, order: $order) {{
      edges {{ node {{ {fields} }} cursor }}
      pageInfo {{ endCursor hasNextPage }}
    }}
  }}
}}
"""


RUNS_OF_NAME = """
query Runs($project: String!, $entity: String!, $perPage: Int, $filters: JSONString) {
  project(name: $project, entityName: $entity) {
    runs(filters: $filters, first: $perPage) { edges { node { name displayName } } }
  }
}
"""

RUN_STATE = """
query RunState($project: String!, $entity: String!, $name: String!) {
  project(name: $project, entityName: $entity) { run(name: $name) { state } }
}
"""

CREATE_RUN = """
mutation UpsertBucket($project: String, $entity: String, $name: String!, $state: String) {
  upsertBucket(
    input: {modelName: $project, entityName: $entity, name: $name, state: $state}
  ) { bucket { id name project { name entity { name } } } inserted }
}
"""

SEND_RUN = """
mutation UpsertBucket(
  $name: String!, $project: String!, $entity: String!, $displayName: String, $notes: String,
  $tags: [String!], $groupName: String, $jobType: String, $host: String, $commit: String,
  $config: JSONString
) {
  upsertBucket(
    input: {
      name: $name, modelName: $project, entityName: $entity, displayName: $displayName,
      notes: $notes, tags: $tags, groupName: $groupName, jobType: $jobType, host: $host,
      commit: $commit, config: $config
    }
  ) { bucket { id name project { name entity { name } } } inserted }
}
"""

UPDATE_RUN = """
mutation UpsertBucket(
  $id: String!, $description: String, $display_name: String, $notes: String, $tags: [String!],
  $config: JSONString!, $groupName: String, $jobType: String
) {
  upsertBucket(
    input: {
      id: $id, description: $description, displayName: $display_name, notes: $notes, tags: $tags,
      config: $config, groupName: $groupName, jobType: $jobType
    }
  ) { bucket { id } }
}
"""

UPDATE_SUMMARY = """
mutation UpsertBucket($id: String, $summaryMetrics: JSONString) {
  upsertBucket(input: {id: $id, summaryMetrics: $summaryMetrics}) { bucket { id } }
}
"""

UPDATE_RUN_STATE = """
mutation UpdateRunState($input: UpdateRunStateInput!) { updateRunState(input: $input) { success } }
"""

DELETE_RUN = """
mutation DeleteRun($id: ID!, $deleteArtifacts: Boolean) {
  deleteRun(input: {id: $id, deleteArtifacts: $deleteArtifacts}) { clientMutationId }
}
"""

STOP_RUN = """
mutation StopRun($id: ID!) { stopRun(input: {id: $id}) { success } }
"""

RUN_FULL_HISTORY = """
query RunFullHistory($project: String!, $entity: String!, $name: String!, $samples: Int) {
  project(name: $project, entityName: $entity) { run(name: $name) { history(samples: $samples) } }
}
"""

RUN_EVENTS = """
query RunFullHistory($project: String!, $entity: String!, $name: String!, $samples: Int) {
  project(name: $project, entityName: $entity) { run(name: $name) { events(samples: $samples) } }
}
"""

RUN_SAMPLED_HISTORY = """
query RunSampledHistory(
  $project: String!, $entity: String!, $name: String!, $specs: [JSONString!]!
) {
  project(name: $project, entityName: $entity) {
    run(name: $name) { sampledHistory(specs: $specs) }
  }
}
"""

RUN_FILES = """
query RunFiles(
  $project: String!, $entity: String!, $name: String!, $fileCursor: String, $fileLimit: Int,
  $fileNames: [String], $upload: Boolean, $pattern: String
) {
  project(name: $project, entityName: $entity) {
    internalId
    run(name: $name) {
      fileCount
      files(names: $fileNames, after: $fileCursor, first: $fileLimit, pattern: $pattern) {
        edges {
          node { id name url(upload: $upload) directUrl sizeBytes mimetype updatedAt md5 }
          cursor
        }
        pageInfo { endCursor hasNextPage }
      }
    }
  }
}
"""

CREATE_RUN_FILES = """
mutation CreateRunFiles(
  $entity: String!, $project: String!, $run: String!, $files: [String!]!
) {
  createRunFiles(
    input: {entityName: $entity, projectName: $project, runName: $run, files: $files}
  ) { runID uploadHeaders files { name uploadUrl } }
}
"""

MARK_RUN_FILES_UPLOADED = """
mutation MarkRunFilesUploaded(
  $entity: String!, $project: String!, $run: String!, $files: [String!]!
) {
  markRunFilesUploaded(
    input: {entityName: $entity, projectName: $project, runName: $run, files: $files}
  ) { success }
}
"""

DELETE_FILES = """
mutation deleteFiles($files: [ID!]!, $projectId: Int) {
  deleteFiles(input: {files: $files, projectId: $projectId}) { success }
}
"""

RUN_CONSOLE_LOG_PAGE = """
query RunConsoleLogPage(
  $entity: String!, $project: String!, $runName: String!, $first: Int, $after: String
) {
  project(name: $project, entityName: $entity) {
    run(name: $runName) {
      logLines(first: $first, after: $after, useImprovedPagination: true) {
        edges { node { number timestamp level label line } }
        pageInfo { endCursor hasNextPage }
      }
    }
  }
}
"""

RUN_CONSOLE_LOG_TAIL = """
query RunConsoleLogTail($entity: String!, $project: String!, $runName: String!, $last: Int) {
  project(name: $project, entityName: $entity) {
    run(name: $runName) {
      logLines(last: $last) {
        edges { node { number timestamp level label line } }
        pageInfo { endCursor hasNextPage }
      }
    }
  }
}
"""

SERVER_FEATURES = """
query ServerFeaturesQuery { serverInfo { features { name isEnabled } } }
"""

DEFAULT_ENTITY = """
query GetDefaultEntity { viewer { id entity } }
"""

USER_FIELDS = """
id name username email admin flags entity deletedAt
apiKeys { edges { node { id name description } } }
teams { edges { node { name } } }
"""

TEAM = """
query GetTeamEntity($name: String!) {
  entity(name: $name) {
    id name available photoUrl readOnly readOnlyAdmin isTeam entityType privateOnly storageBytes
    codeSavingEnabled defaultAccess isPaid
    members { id admin pending email username name photoUrl accountType apiKey }
  }
}
"""

VIEWER = f"query GetViewer {{ viewer {{ {USER_FIELDS} }} }}"

PROJECT_FIELDS = f"id name entityName createdAt isBenchmark user {{ {USER_FIELDS} }}"

PROJECTS = f"""
query GetProjects($entity: String, $cursor: String, $perPage: Int) {{
  models(entityName: $entity, after: $cursor, first: $perPage) {{
    edges {{ node {{ {PROJECT_FIELDS} }} }}
    pageInfo {{ endCursor hasNextPage }}
  }}
}}
"""

PROJECT = f"""
query GetProject($project: String, $entity: String) {{
  project(name: $project, entityName: $entity) {{ {PROJECT_FIELDS} }}
}}
"""

CREATE_PROJECT = """
mutation UpsertModel($name: String!, $entity: String!) {
  upsertModel(input: {name: $name, entityName: $entity}) { model { name } }
}
"""

SWEEP_FIELDS = """
id name displayName method state description bestLoss config createdAt updatedAt runCount
runCountExpected
"""

SWEEP = f"""
query GetSweep($name: String!, $project: String, $entity: String) {{
  project(name: $project, entityName: $entity) {{ sweep(sweepName: $name) {{ {SWEEP_FIELDS} }} }}
}}
"""

SWEEP_FILTERS = "SWEEPS_QUERY_FILTERING"


def sweeps(*, is_filtered: bool) -> str:
    """Return the query for a page of sweeps, with filters if ``is_filtered``.

    Older backends do not support filters.
    """
    declared, given = ", $filters: JSONString!", ", filters: $filters"
    if not is_filtered:
        declared = given = ""
    return f"""
query GetSweeps($project: String!, $entity: String!, $cursor: String, $perPage: Int{declared}) {{
  project(name: $project, entityName: $entity) {{
    totalSweeps
    sweeps(after: $cursor, first: $perPage{given}) {{
      pageInfo {{ endCursor hasNextPage }}
      edges {{ node {{ {SWEEP_FIELDS} }} }}
    }}
  }}
}}
"""


RUN_HISTORY_KEYS = """
query RunHistoryKeys($project: String!, $entity: String!, $name: String!) {
  project(name: $project, entityName: $entity) { run(name: $name) { historyKeys } }
}
"""

MANIFEST_FIELDS = """
id name state heartbeatAt historyLineCount historyKeys
parquetHistory(liveKeys: $liveKeys) { parquetUrls liveData }
"""

RUN_HISTORY_MANIFEST = f"""
query RunHistoryManifest(
  $project: String!, $entity: String!, $name: String!, $liveKeys: [String!]!
) {{
  project(name: $project, entityName: $entity) {{ run(name: $name) {{ {MANIFEST_FIELDS} }} }}
}}
"""


def runs_history_manifests() -> str:
    """Return the query for a page of runs, each with its list of exports and live steps."""
    return _runs(MANIFEST_FIELDS, ", $liveKeys: [String!]!")


def runs_files() -> str:
    """Return the query for a page of runs, each with the first file that ``$fileNames`` names."""
    files = (
        "files(names: $fileNames, first: 1) "
        "{ edges { node { id name url sizeBytes mimetype updatedAt md5 } } }"
    )
    return _runs(f"name {files}", ", $fileNames: [String]")


def runs_artifacts() -> str:
    """Return the query for a page of runs, each with its number of logged and of used artifacts.

    The query selects no artifacts, because the backend would then send a page of artifacts per run.
    """
    return _runs(
        "name outputArtifacts(first: 1) { totalCount } inputArtifacts(first: 1) { totalCount }"
    )


HISTORY_PAGE = """
query HistoryPage(
  $entity: String!, $project: String!, $run: String!,
  $minStep: Int64!, $maxStep: Int64!, $pageSize: Int!
) {
  project(name: $project, entityName: $entity) {
    run(name: $run) { history(minStep: $minStep, maxStep: $maxStep, samples: $pageSize) }
  }
}
"""

SAMPLED_HISTORY_PAGE = """
query SampledHistoryPage(
  $entity: String!, $project: String!, $run: String!, $specs: [JSONString!]!
) {
  project(name: $project, entityName: $entity) {
    run(name: $run) { sampledHistory(specs: $specs) }
  }
}
"""
