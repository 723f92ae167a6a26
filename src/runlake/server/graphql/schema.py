"""The text of the GraphQL schema: the part of the W&B protocol that this backend supports."""

from __future__ import annotations

from graphql import GraphQLSchema, build_schema

from runlake.server.graphql import files, history, projects, runs, users
from runlake.server.graphql.artifacts import collections, edits, versions
from runlake.server.graphql.artifacts.schema import ARTIFACT_SDL
from runlake.server.graphql.scalars import install_scalars
from runlake.server.graphql.table import install

SDL = """
scalar JSON
scalar JSONString
scalar Int64
scalar DateTime
scalar Duration
enum AlertSeverity { INFO WARN ERROR }

type Query {
  viewer: User
  serverInfo: ServerInfo
  entity(name: String): Entity
  project(name: String, entityName: String): Project
  model(name: String, entityName: String): Project
  models(entityName: String, after: String, first: Int): ProjectConnection
}
type User {
  id: ID! name: String username: String email: String admin: Boolean flags: JSONString
  entity: String deletedAt: DateTime apiKeys: ApiKeyConnection teams: EntityConnection
}
type ApiKeyConnection { edges: [ApiKeyEdge!]! }
type ApiKeyEdge { node: ApiKey }
type ApiKey { id: ID! name: String description: String }
type EntityConnection { edges: [EntityEdge!]! }
type EntityEdge { node: Entity }
type Entity {
  id: ID! name: String! organization: Organization available: Boolean photoUrl: String
  readOnly: Boolean readOnlyAdmin: Boolean! isTeam: Boolean! entityType: String
  privateOnly: Boolean! storageBytes: Int64! codeSavingEnabled: Boolean! defaultAccess: String!
  isPaid: Boolean members: [Member!]!
}
type Member {
  id: ID admin: Boolean pending: Boolean email: String username: String name: String!
  photoUrl: String accountType: String apiKey: String
}
type Organization { id: ID name: String coreWeaveOrganizationId: String }
type ServerInfo {
  features: [ServerFeature!]! cliVersionInfo: JSON latestLocalVersionInfo: LocalVersionInfo
}
type LocalVersionInfo {
  outOfDate: Boolean! latestVersionString: String! versionOnThisInstanceString: String!
}
type ServerFeature { name: String! isEnabled: Boolean! }
type PageInfo { endCursor: String hasNextPage: Boolean! }

type Project {
  id: ID! internalId: ID name: String! entityName: String entity: Entity! createdAt: DateTime
  isBenchmark: Boolean! user: User description: String access: String views: JSONString
  readOnly: Boolean runCount(filters: JSONString): Int
  run(name: String!, desc: String): Run
  bucket(name: String!, missingOk: Boolean, desc: String): Run
  runs(filters: JSONString, after: String, first: Int, order: String): RunConnection
  sweep(sweepName: String!): Sweep
  sweeps(filters: JSONString, after: String, first: Int): SweepConnection totalSweeps: Int!
}
type ProjectConnection { edges: [ProjectEdge!]! pageInfo: PageInfo! }
type ProjectEdge { node: Project! cursor: String! }
type Sweep {
  id: ID! name: String! displayName: String method: String! state: String! description: String
  bestLoss: Float config: String! createdAt: DateTime! updatedAt: DateTime runCount: Int!
  runCountExpected: Int
}
type SweepConnection { edges: [SweepEdge!]! pageInfo: PageInfo! }
type SweepEdge { node: Sweep! cursor: String! }
type RunConnection { edges: [RunEdge!]! pageInfo: PageInfo! totalCount: Int }
type RunEdge { node: Run! cursor: String! }
type Run {
  id: ID! name: String! projectId: ID displayName: String state: String! stopped: Boolean
  description: String notes: String tags: [String!]! group: String jobType: String
  commit: String host: String readOnly: Boolean createdAt: DateTime! heartbeatAt: DateTime
  sweepName: String config: JSONString summaryMetrics: JSONString systemMetrics: JSONString
  historyLineCount: Int eventsLineCount: Int logLineCount: Int historyTail: JSONString
  eventsTail: JSONString wandbConfig(keys: [String!]): JSONString historyKeys: JSON
  user: User project: Project
  parquetHistory(liveKeys: [String!]!): ParquetHistory
  history(minStep: Int64, maxStep: Int64, samples: Int): [String!]
  events(samples: Int): [String!]
  sampledHistory(specs: [JSONString!]!): [JSON!]
  fileCount: Int
  files(
    names: [String], after: String, first: Int, pattern: String
  ): FileConnection
  logLines(first: Int, after: String, last: Int, useImprovedPagination: Boolean): LogConnection
}
type ParquetHistory { parquetUrls: [String!]! liveData: JSON! }
type FileConnection {
  totalCount: Int edges: [FileEdge!]! pageInfo: PageInfo! uploadHeaders: [String!]
}
type FileEdge { node: File! cursor: String }
type File {
  id: ID! name: String! url(upload: Boolean): String directUrl: String sizeBytes: Int64!
  mimetype: String updatedAt: DateTime md5: String uploadUrl: String uploadHeaders: [String!]
}
type LogConnection { edges: [LogEdge!]! pageInfo: PageInfo! }
type LogEdge { node: LogLine! cursor: String }
type LogLine { number: Int! timestamp: String level: String label: String line: String! }

type Mutation {
  upsertModel(input: UpsertModelInput!): UpsertModelPayload
  upsertBucket(input: UpsertBucketInput!): UpsertBucketPayload
  updateRunState(input: UpdateRunStateInput!): SuccessPayload
  deleteRun(input: DeleteRunInput!): ClientPayload
  stopRun(input: StopRunInput!): SuccessPayload
  rewindRun(input: RewindRunInput!): RewindRunPayload
  createRunFiles(input: RunFilesInput!): CreateRunFilesPayload
  markRunFilesUploaded(input: RunFilesInput!): SuccessPayload
  deleteFiles(input: DeleteFilesInput!): SuccessPayload
  notifyScriptableRunAlert(input: AlertInput!): SuccessPayload
}
input UpsertModelInput {
  id: String name: String entityName: String description: String access: String views: JSONString
  isBenchmark: Boolean isPublished: Boolean dockerImage: String framework: String repo: String
  owner: ID clientMutationId: String allowAllArtifactTypesInRegistry: Boolean
  artifactTypes: [JSON!] icon: JSON rateLimits: JSON
}
type UpsertModelPayload { project: Project model: Project inserted: Boolean }
input UpsertBucketInput {
  id: String name: String modelName: String entityName: String groupName: String
  description: String displayName: String notes: String config: JSONString commit: String
  host: String debug: Boolean jobProgram: String jobRepo: String jobType: String state: String
  sweep: String tags: [String!] summaryMetrics: JSONString
}
type UpsertBucketPayload { bucket: Run inserted: Boolean }
type SuccessPayload { success: Boolean clientMutationId: String }
type ClientPayload { clientMutationId: String }
input UpdateRunStateInput { id: ID! state: String! }
input DeleteRunInput { id: ID! deleteArtifacts: Boolean }
input StopRunInput { id: ID! }
input RewindRunInput {
  runName: String! entityName: String projectName: String metricName: String! metricValue: Float!
}
type RewindRunPayload { rewoundRun: Run }
input RunFilesInput {
  entityName: String! projectName: String! runName: String! files: [String!]!
}
type CreateRunFilesPayload { runID: ID! uploadHeaders: [String!]! files: [File!]! }
input DeleteFilesInput { files: [ID!]! projectId: Int }
input AlertInput {
  entityName: String! projectName: String! runName: String! title: String! text: String!
  severity: AlertSeverity waitDuration: Duration
}
"""


TOPICS = (users, projects, runs, history, files, versions, collections, edits)


def load_schema() -> GraphQLSchema:
    """Return the GraphQL schema, with its resolvers and scalars installed."""
    schema = build_schema(SDL + ARTIFACT_SDL)
    install_scalars(schema)
    install(schema, (topic.TABLE for topic in TOPICS))
    return schema
