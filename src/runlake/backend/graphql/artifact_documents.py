"""The GraphQL documents that read and log artifacts, one constant each."""

from __future__ import annotations

PROJECT = "project { id name entity { name } }"
PAGE_INFO = "pageInfo { endCursor hasNextPage }"
ARTIFACT = f"""
id artifactSequence {{ name {PROJECT} }} versionIndex artifactType {{ name }} description metadata
ttlDurationSeconds tags {{ name }} historyStep state size digest commitHash fileCount createdAt
updatedAt aliases {{ alias artifactCollection {{ name {PROJECT} }} }}
"""
COLLECTION = """
__typename id name description createdAt updatedAt
project { id internalId name entity { name } }
type: defaultArtifactType { name } tags { edges { node { name } } }
"""
TYPE = "id name description createdAt"

ARTIFACT_BY_NAME = f"""
query ArtifactMembershipByName($entity: String!, $project: String!, $name: String!) {{
  project(name: $project, entityName: $entity) {{
    artifactCollectionMembership(name: $name) {{
      versionIndex createdAt aliases {{ alias }}
      artifactCollection {{ name {PROJECT} }} artifact {{ {ARTIFACT} }}
    }}
  }}
}}
"""

ARTIFACT_BY_ID = f"""
query ArtifactByID($id: ID!) {{ artifact(id: $id) {{ {ARTIFACT} }} }}
"""

LINKED_ARTIFACTS = f"""
query FetchLinkedArtifacts($artifactID: ID!) {{
  artifact(id: $artifactID) {{
    artifactMemberships {{
      edges {{
        node {{
          versionIndex createdAt aliases {{ alias }}
          artifactCollection {{ __typename name {PROJECT} }}
        }}
      }}
    }}
  }}
}}
"""

CLIENT_ID_MAPPING = """
query ClientIDMapping($clientID: ID!) { clientIDMapping(clientID: $clientID) { serverID } }
"""

FETCH_ARTIFACT_MANIFEST = """
query FetchArtifactManifest($id: ID!) {
  artifact(id: $id) { currentManifest { file { directUrl } } }
}
"""

ARTIFACT_FILES = f"""
query ArtifactMembershipFiles(
  $entity: String!, $project: String!, $collection: String!, $alias: String!,
  $fileNames: [String!], $cursor: String, $perPage: Int
) {{
  project(name: $project, entityName: $entity) {{
    artifactCollection(name: $collection) {{
      artifactMembership(aliasName: $alias) {{
        files(names: $fileNames, after: $cursor, first: $perPage) {{
          {PAGE_INFO}
          edges {{
            node {{
              id name: displayName url sizeBytes storagePath mimetype updatedAt digest md5 directUrl
            }}
          }}
        }}
      }}
    }}
  }}
}}
"""

ARTIFACT_FILE_URLS = f"""
query GetArtifactMembershipFileUrls(
  $entity: String!, $project: String!, $collection: String!, $alias: String!, $cursor: String,
  $perPage: Int
) {{
  project(name: $project, entityName: $entity) {{
    artifactCollection(name: $collection) {{
      artifactMembership(aliasName: $alias) {{
        files(after: $cursor, first: $perPage) {{
          {PAGE_INFO}
          edges {{ node {{ name directUrl }} }}
        }}
      }}
    }}
  }}
}}
"""

ARTIFACT_CREATED_BY = f"""
query ArtifactCreatedBy($id: ID!) {{
  artifact(id: $id) {{ createdBy {{ __typename ... on Run {{ id name {PROJECT} }} }} }}
}}
"""

ARTIFACT_USED_BY = f"""
query ArtifactUsedBy($id: ID!) {{
  artifact(id: $id) {{ usedBy {{ edges {{ node {{ id name {PROJECT} }} }} }} }}
}}
"""

# The fields of a version that a pull needs, and that lists of artifacts do not return.
ARTIFACT_TO_PULL = f"""
query FetchArtifactManifest($id: ID!) {{
  artifact(id: $id) {{
    currentManifest {{ file {{ directUrl }} }}
    createdBy {{ __typename ... on Run {{ id name {PROJECT} }} }}
    usedBy {{ edges {{ node {{ id name {PROJECT} }} }} }}
  }}
}}
"""

ARTIFACT_TYPES = f"""
query ProjectArtifactTypes($entity: String!, $project: String!, $cursor: String, $perPage: Int) {{
  project(name: $project, entityName: $entity) {{
    artifactTypes(after: $cursor, first: $perPage) {{ {PAGE_INFO} edges {{ node {{ {TYPE} }} }} }}
  }}
}}
"""

ARTIFACT_TYPE = f"""
query ProjectArtifactType($entity: String!, $project: String!, $type: String!) {{
  project(name: $project, entityName: $entity) {{ artifactType(name: $type) {{ {TYPE} }} }}
}}
"""

ARTIFACT_COLLECTIONS = f"""
query ArtifactTypeArtifactCollections(
  $entity: String!, $project: String!, $type: String!, $cursor: String, $perPage: Int,
  $filters: JSONString, $order: String
) {{
  project(name: $project, entityName: $entity) {{
    artifactType(name: $type) {{
      artifactCollections(after: $cursor, first: $perPage, filters: $filters, order: $order) {{
        totalCount {PAGE_INFO} edges {{ node {{ {COLLECTION} }} }}
      }}
    }}
  }}
}}
"""

COLLECTION_FILTERS = "ARTIFACT_COLLECTIONS_FILTERING_SORTING"
PROJECT_COLLECTIONS_PLAIN = f"""
query ProjectArtifactCollections(
  $entity: String!, $project: String!, $cursor: String, $perPage: Int
) {{
  project(name: $project, entityName: $entity) {{
    artifactCollections(after: $cursor, first: $perPage) {{
      {PAGE_INFO} edges {{ node {{ {COLLECTION} }} }}
    }}
  }}
}}
"""
PROJECT_COLLECTIONS = f"""
query ProjectArtifactCollections(
  $entity: String!, $project: String!, $cursor: String, $perPage: Int, $filters: JSONString,
  $order: String
) {{
  project(name: $project, entityName: $entity) {{
    artifactCollections(after: $cursor, first: $perPage, filters: $filters, order: $order) {{
      totalCount {PAGE_INFO} edges {{ node {{ {COLLECTION} }} }}
    }}
  }}
}}
"""

ARTIFACT_COLLECTION = f"""
query ProjectArtifactCollection(
  $entity: String!, $project: String!, $type: String!, $name: String!
) {{
  project(name: $project, entityName: $entity) {{
    artifactType(name: $type) {{ artifactCollection(name: $name) {{ {COLLECTION} }} }}
  }}
}}
"""

ARTIFACT_COLLECTION_ALIASES = f"""
query ArtifactCollectionAliases($id: ID!, $cursor: String, $perPage: Int) {{
  artifactCollection(id: $id) {{
    aliases(after: $cursor, first: $perPage) {{ {PAGE_INFO} edges {{ node {{ alias }} }} }}
  }}
}}
"""

PROJECT_ARTIFACTS = f"""
query ProjectArtifacts(
  $entity: String!, $project: String!, $type: String!, $collection: String!, $cursor: String,
  $perPage: Int, $order: String, $filters: JSONString
) {{
  project(name: $project, entityName: $entity) {{
    artifactType(name: $type) {{
      artifactCollection(name: $collection) {{
        artifacts(after: $cursor, first: $perPage, order: $order, filters: $filters) {{
          totalCount {PAGE_INFO} edges {{ version node {{ {ARTIFACT} }} }}
        }}
      }}
    }}
  }}
}}
"""


def _run_artifacts(operation: str, field: str) -> str:
    return f"""
query {operation}(
  $entity: String!, $project: String!, $run: String!, $cursor: String, $perPage: Int
) {{
  project(name: $project, entityName: $entity) {{
    run(name: $run) {{
      artifacts: {field}(after: $cursor, first: $perPage) {{
        totalCount {PAGE_INFO} edges {{ node {{ {ARTIFACT} }} }}
      }}
    }}
  }}
}}
"""


RUN_OUTPUT_ARTIFACTS = _run_artifacts("RunOutputArtifacts", "outputArtifacts")
RUN_INPUT_ARTIFACTS = _run_artifacts("RunInputArtifacts", "inputArtifacts")

USE_ARTIFACT = """
mutation UseArtifact(
  $entityName: String!, $projectName: String!, $runName: String!, $artifactID: ID!,
  $usedAs: String
) {
  useArtifact(
    input: {
      entityName: $entityName, projectName: $projectName, runName: $runName,
      artifactID: $artifactID, usedAs: $usedAs
    }
  ) { artifact { id } }
}
"""

LOG_ARTIFACT = """
mutation CreateArtifact(
  $artifactTypeName: String!, $artifactCollectionNames: [String!], $entityName: String!,
  $projectName: String!, $runName: String, $digest: String!, $aliases: [ArtifactAliasInput!],
  $tags: [TagInput!]
) {
  createArtifact(
    input: {
      artifactTypeName: $artifactTypeName, artifactCollectionNames: $artifactCollectionNames,
      entityName: $entityName, projectName: $projectName, runName: $runName, digest: $digest,
      digestAlgorithm: MANIFEST_MD5, aliases: $aliases, tags: $tags,
      enableDigestDeduplication: true
    }
  ) { artifact { id state } }
}
"""
