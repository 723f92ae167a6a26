"""Every GraphQL text that runlake sends, one constant each.

A constant's operation name matters: a backend answers ``HistoryPage`` and ``SampledHistoryPage``
with live rows only (protocol: the boundary between exports and live rows), because a reader that
sends that name is expected to have the exports already.
"""

from __future__ import annotations

RUN = """
query Run($project: String!, $entity: String!, $name: String!) {
  project(name: $project, entityName: $entity) {
    run(name: $name) {
      id name displayName state group jobType createdAt heartbeatAt description notes tags
      historyLineCount sweepName commit config summaryMetrics systemMetrics
      user { name username }
    }
  }
}
"""

RUN_HISTORY_KEYS = """
query RunHistoryKeys($project: String!, $entity: String!, $name: String!) {
  project(name: $project, entityName: $entity) { run(name: $name) { historyKeys } }
}
"""

RUN_HISTORY_MANIFEST = """
query RunHistoryManifest(
  $project: String!, $entity: String!, $name: String!, $liveKeys: [String!]!
) {
  project(name: $project, entityName: $entity) {
    run(name: $name) {
      id name state heartbeatAt historyLineCount historyKeys
      parquetHistory(liveKeys: $liveKeys) { parquetUrls liveData }
    }
  }
}
"""

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
  $entity: String!, $project: String!, $run: String!, $spec: JSONString!
) {
  project(name: $project, entityName: $entity) {
    run(name: $run) { sampledHistory(specs: [$spec]) }
  }
}
"""
