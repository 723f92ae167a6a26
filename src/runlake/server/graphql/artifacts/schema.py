"""The part of the GraphQL schema that is about artifacts."""

from __future__ import annotations

ARTIFACT_SDL = """
enum ArtifactManifestType { FULL PATCH INCREMENTAL DISTRIBUTED }
enum ArtifactDigestAlgorithm { MANIFEST_MD5 MANIFEST_XXH128 }
enum ArtifactStorageLayout { V1 V2 }
enum ArtifactState { PENDING COMMITTED DELETED }
enum ArtifactCollectionState { READY DELETED }

extend type Query {
  artifact(id: ID!): Artifact
  artifactCollection(id: ID!): ArtifactCollection
  clientIDMapping(clientID: ID!): ClientIDMapping
}
type ClientIDMapping { serverID: ID }

extend type Project {
  artifact(name: String!, enableTracking: Boolean): Artifact
  artifactCollectionMembership(name: String!): ArtifactCollectionMembership
  artifactType(name: String!): ArtifactType
  artifactTypes(after: String, first: Int): ArtifactTypeConnection
  artifactCollection(name: String!): ArtifactCollection
  artifactCollections(
    after: String, first: Int, filters: JSONString, order: String
  ): ArtifactCollectionConnection
}
extend type Run {
  outputArtifacts(after: String, first: Int): ArtifactConnection
  inputArtifacts(after: String, first: Int): ArtifactConnection
}
extend type File { displayName: String storagePath: String digest: String }

type ArtifactConnection { totalCount: Int! pageInfo: PageInfo! edges: [ArtifactEdge!]! }
type ArtifactEdge { node: Artifact cursor: String! }
type Artifact {
  id: ID! state: ArtifactState! digest: String! digestAlgorithm: ArtifactDigestAlgorithm
  description: String metadata: JSONString versionIndex: Int commitHash: String size: Int64!
  fileCount: Int! createdAt: DateTime! updatedAt: DateTime historyStep: Int64
  ttlDurationSeconds: Int64! ttlIsInherited: Boolean! tags: [Tag!]! aliases: [ArtifactAlias!]!
  artifactType: ArtifactType! artifactSequence: ArtifactSequence!
  artifactMemberships: ArtifactCollectionMembershipConnection!
  currentManifest: ArtifactManifest createdBy: ArtifactCreator usedBy: RunConnection
  files(names: [String!], after: String, first: Int): FileConnection
}
union ArtifactCreator = Run | User
type ArtifactAlias { id: ID! alias: String! artifactCollection: ArtifactCollection }
type Tag { id: ID! name: String! tagCategoryName: String }
type TagConnection { edges: [TagEdge!]! }
type TagEdge { node: Tag! }
type ArtifactManifest { id: ID! digest: String file: File! }

type ArtifactTypeConnection { edges: [ArtifactTypeEdge!]! pageInfo: PageInfo! }
type ArtifactTypeEdge { node: ArtifactType cursor: String! }
type ArtifactType {
  id: ID! name: String! description: String createdAt: DateTime!
  artifact(name: String!): Artifact artifactSequence(name: String!): ArtifactSequence
  artifactCollection(name: String!): ArtifactCollection
  artifactCollections(
    after: String, first: Int, filters: JSONString, order: String
  ): ArtifactCollectionConnection
}

type ArtifactCollectionConnection {
  totalCount: Int! pageInfo: PageInfo! edges: [ArtifactCollectionEdge!]!
}
type ArtifactCollectionEdge { node: ArtifactCollection cursor: String! }
interface ArtifactCollection {
  id: ID! name: String! description: String createdAt: DateTime! updatedAt: DateTime
  state: ArtifactCollectionState! project: Project defaultArtifactType: ArtifactType!
  tags: TagConnection! aliases(after: String, first: Int): ArtifactAliasConnection!
  artifactMembership(aliasName: String!): ArtifactCollectionMembership
  artifacts(
    after: String, first: Int, order: String, filters: JSONString
  ): VersionedArtifactConnection
}
type ArtifactSequence implements ArtifactCollection {
  id: ID! name: String! description: String createdAt: DateTime! updatedAt: DateTime
  state: ArtifactCollectionState! project: Project defaultArtifactType: ArtifactType!
  tags: TagConnection! aliases(after: String, first: Int): ArtifactAliasConnection!
  artifactMembership(aliasName: String!): ArtifactCollectionMembership
  artifacts(
    after: String, first: Int, order: String, filters: JSONString
  ): VersionedArtifactConnection
  latestArtifact: Artifact digestAlgorithm: ArtifactDigestAlgorithm
}
type ArtifactPortfolio implements ArtifactCollection {
  id: ID! name: String! description: String createdAt: DateTime! updatedAt: DateTime
  state: ArtifactCollectionState! project: Project defaultArtifactType: ArtifactType!
  tags: TagConnection! aliases(after: String, first: Int): ArtifactAliasConnection!
  artifactMembership(aliasName: String!): ArtifactCollectionMembership
  artifacts(
    after: String, first: Int, order: String, filters: JSONString
  ): VersionedArtifactConnection
}
type ArtifactAliasConnection { edges: [ArtifactAliasEdge!]! pageInfo: PageInfo! }
type ArtifactAliasEdge { node: ArtifactAlias! cursor: String! }
type VersionedArtifactConnection {
  totalCount: Int! pageInfo: PageInfo! edges: [VersionedArtifactEdge!]!
}
type VersionedArtifactEdge { version: String! node: Artifact cursor: String! }
type ArtifactCollectionMembershipConnection { edges: [ArtifactCollectionMembershipEdge!]! }
type ArtifactCollectionMembershipEdge { node: ArtifactCollectionMembership }
type ArtifactCollectionMembership {
  id: ID! versionIndex: Int createdAt: DateTime! aliases: [ArtifactAlias!]!
  artifactCollection: ArtifactCollection artifact: Artifact
  files(names: [String!], after: String, first: Int): FileConnection
}

extend type Mutation {
  createArtifact(input: CreateArtifactInput!): CreateArtifactPayload
  createArtifactManifest(input: CreateArtifactManifestInput!): ArtifactManifestPayload
  updateArtifactManifest(input: UpdateArtifactManifestInput!): ArtifactManifestPayload
  createArtifactFiles(input: CreateArtifactFilesInput!): ArtifactFilesPayload
  commitArtifact(input: CommitArtifactInput!): ArtifactPayload
  useArtifact(input: UseArtifactInput!): ArtifactPayload
  updateArtifact(input: UpdateArtifactInput!): ArtifactPayload
  deleteArtifact(input: DeleteArtifactInput!): ArtifactPayload
  linkArtifact(input: LinkArtifactInput!): LinkArtifactPayload
  unlinkArtifact(input: UnlinkArtifactInput!): UnlinkArtifactPayload
  updateArtifactPortfolio(input: UpdateArtifactPortfolioInput!): ArtifactCollectionPayload
  deleteArtifactPortfolio(input: DeleteArtifactPortfolioInput!): ArtifactCollectionPayload
  addAliases(input: AddAliasesInput!): SuccessPayload
  deleteAliases(input: DeleteAliasesInput!): SuccessPayload
  updateArtifactSequence(input: UpdateArtifactSequenceInput!): ArtifactCollectionPayload
  moveArtifactSequence(input: MoveArtifactSequenceInput!): ArtifactCollectionPayload
  deleteArtifactSequence(input: DeleteArtifactSequenceInput!): ArtifactCollectionPayload
  createArtifactCollectionTagAssignments(
    input: CreateArtifactCollectionTagAssignmentsInput!
  ): TagsPayload
  deleteArtifactCollectionTagAssignments(
    input: DeleteArtifactCollectionTagAssignmentsInput!
  ): SuccessPayload
}
input ArtifactAliasInput { artifactCollectionName: String! alias: String! }
input ArtifactCollectionAliasInput {
  entityName: String! projectName: String! artifactCollectionName: String! alias: String!
}
input TagInput { tagName: String! tagCategoryName: String attributes: JSONString }
input CreateArtifactInput {
  artifactTypeName: String! artifactCollectionName: String artifactCollectionNames: [String!]
  entityName: String! projectName: String! runName: String digest: String!
  digestAlgorithm: ArtifactDigestAlgorithm description: String metadata: JSONString
  aliases: [ArtifactAliasInput!] tags: [TagInput!] clientID: ID sequenceClientID: ID
  distributedID: String ttlDurationSeconds: Int64 historyStep: Int64
  enableDigestDeduplication: Boolean labels: JSONString clientMutationId: String
  storageRegion: String
}
type ArtifactPayload { artifact: Artifact! }
type CreateArtifactPayload { artifact: Artifact! }
input CreateArtifactManifestInput {
  artifactID: ID! baseArtifactID: ID name: String! digest: String! entityName: String!
  projectName: String! runName: String! type: ArtifactManifestType!
}
input UpdateArtifactManifestInput { artifactManifestID: ID! digest: String baseArtifactID: ID }
type ArtifactManifestPayload { artifactManifest: ArtifactManifest! }
input CreateArtifactFilesInput {
  artifactFiles: [CreateArtifactFileSpecInput!]! storageLayout: ArtifactStorageLayout
  cloudRegionID: String clientMutationId: String
}
input CreateArtifactFileSpecInput {
  artifactID: ID! name: String! md5: String artifactManifestID: ID mimetype: String
  uploadPartsInput: [UploadPartInput!]
}
input UploadPartInput { partNumber: Int64! hexMD5: String! }
type ArtifactFilesPayload { files: ArtifactFileConnection! }
type ArtifactFileConnection { edges: [ArtifactFileEdge!]! }
type ArtifactFileEdge { node: ArtifactFile }
type ArtifactFile {
  id: ID! name: String! displayName: String!
  storagePath: String uploadUrl: String uploadHeaders: [String!]!
  uploadMultipartUrls: UploadMultipartUrls artifact: Artifact!
}
type UploadMultipartUrls { uploadID: String uploadUrlParts: [UploadUrlPart!] }
type UploadUrlPart { partNumber: Int64 uploadUrl: String }
input CommitArtifactInput { artifactID: ID! }
input UseArtifactInput {
  entityName: String! projectName: String! runName: String! artifactID: ID! usedAs: String
  clientMutationId: String artifactEntityName: String artifactProjectName: String
}
input UpdateArtifactInput {
  artifactID: ID! description: String metadata: JSONString labels: JSONString
  aliases: [ArtifactAliasInput!] tagsToAdd: [TagInput!] tagsToDelete: [TagInput!]
  ttlDurationSeconds: Int64 clientMutationId: String
}
input DeleteArtifactInput { artifactID: ID! deleteAliases: Boolean clientMutationId: String }
input AddAliasesInput {
  artifactID: ID! aliases: [ArtifactCollectionAliasInput!]! clientMutationId: String
}
input DeleteAliasesInput {
  artifactID: ID! aliases: [ArtifactCollectionAliasInput!]! clientMutationId: String
}
input LinkArtifactInput {
  artifactID: ID clientID: ID artifactPortfolioName: String artifactPortfolioID: ID
  entityName: String projectName: String aliases: [ArtifactAliasInput!] clientMutationId: String
}
type LinkArtifactPayload { versionIndex: Int artifactMembership: ArtifactCollectionMembership }
type UnlinkArtifactPayload { artifactID: ID! success: Boolean clientMutationId: String }
input UnlinkArtifactInput { artifactID: ID! artifactPortfolioID: ID! clientMutationId: String }
input UpdateArtifactPortfolioInput {
  artifactPortfolioID: ID! name: String description: String clientMutationId: String
}
input DeleteArtifactPortfolioInput { artifactPortfolioID: ID! clientMutationId: String }
type ArtifactCollectionPayload { artifactCollection: ArtifactCollection! }
input UpdateArtifactSequenceInput {
  artifactSequenceID: ID! name: String description: String clientMutationId: String
}
input MoveArtifactSequenceInput {
  artifactSequenceID: ID! destinationArtifactTypeName: String! clientMutationId: String
}
input DeleteArtifactSequenceInput { artifactSequenceID: ID! clientMutationId: String }
input CreateArtifactCollectionTagAssignmentsInput {
  entityName: String! projectName: String! artifactCollectionName: String! tags: [TagInput!]!
  clientMutationID: String
}
input DeleteArtifactCollectionTagAssignmentsInput {
  entityName: String! projectName: String! artifactCollectionName: String! tags: [TagInput!]!
  clientMutationID: String
}
type TagsPayload { tags: [Tag!]! }
"""
