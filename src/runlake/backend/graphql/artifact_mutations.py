"""The GraphQL documents that change artifacts and their collections, one constant each."""

from __future__ import annotations

from runlake.backend.graphql.artifact_documents import ARTIFACT, COLLECTION, PROJECT

ADD_ALIASES = """
mutation AddAliases($input: AddAliasesInput!) { addAliases(input: $input) { success } }
"""

DELETE_ALIASES = """
mutation DeleteAliases($input: DeleteAliasesInput!) { deleteAliases(input: $input) { success } }
"""

UPDATE_ARTIFACT = f"""
mutation UpdateArtifact($input: UpdateArtifactInput!) {{
  updateArtifact(input: $input) {{ artifact {{ {ARTIFACT} }} }}
}}
"""

DELETE_ARTIFACT = """
mutation DeleteArtifact($input: DeleteArtifactInput!) {
  deleteArtifact(input: $input) { artifact { id } }
}
"""

MEMBERSHIP_IN_LINK = "ARTIFACT_MEMBERSHIP_IN_LINK_ARTIFACT_RESPONSE"
LINK_ARTIFACT = """
mutation LinkArtifact($input: LinkArtifactInput!) {
  linkArtifact(input: $input) { versionIndex }
}
"""

LINK_ARTIFACT_AND_READ = f"""
mutation LinkArtifact($input: LinkArtifactInput!) {{
  linkArtifact(input: $input) {{
    versionIndex
    artifactMembership {{
      versionIndex createdAt aliases {{ alias }}
      artifactCollection {{ name {PROJECT} }} artifact {{ {ARTIFACT} }}
    }}
  }}
}}
"""

PROJECT_ACCESS = """
query IsProjectReadOnly($entity: String!, $project: String!) {
  project(name: $project, entityName: $entity) { readOnly }
}
"""

UNLINK_ARTIFACT = """
mutation UnlinkArtifact($input: UnlinkArtifactInput!) {
  unlinkArtifact(input: $input) { success }
}
"""

UPDATE_SEQUENCE = f"""
mutation UpdateArtifactSequence($input: UpdateArtifactSequenceInput!) {{
  updateArtifactSequence(input: $input) {{ artifactCollection {{ {COLLECTION} }} }}
}}
"""

UPDATE_PORTFOLIO = f"""
mutation UpdateArtifactPortfolio($input: UpdateArtifactPortfolioInput!) {{
  updateArtifactPortfolio(input: $input) {{ artifactCollection {{ {COLLECTION} }} }}
}}
"""

MOVE_SEQUENCE = f"""
mutation UpdateArtifactSequenceType($input: MoveArtifactSequenceInput!) {{
  moveArtifactSequence(input: $input) {{ artifactCollection {{ {COLLECTION} }} }}
}}
"""

DELETE_SEQUENCE = """
mutation DeleteArtifactSequence($id: ID!) {
  deleteArtifactSequence(input: { artifactSequenceID: $id }) { artifactCollection { state } }
}
"""

DELETE_PORTFOLIO = """
mutation DeleteArtifactPortfolio($id: ID!) {
  deleteArtifactPortfolio(input: { artifactPortfolioID: $id }) { artifactCollection { state } }
}
"""

TAG_COLLECTION = """
mutation AddArtifactCollectionTags($input: CreateArtifactCollectionTagAssignmentsInput!) {
  createArtifactCollectionTagAssignments(input: $input) { tags { name } }
}
"""

UNTAG_COLLECTION = """
mutation DeleteArtifactCollectionTags($input: DeleteArtifactCollectionTagAssignmentsInput!) {
  deleteArtifactCollectionTagAssignments(input: $input) { success }
}
"""
