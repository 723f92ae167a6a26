"""Logs artifacts with the SDK's HTTP requests, one by one, so that a test can spoil any of them."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
from tests.http_logging import LoggedRun
from tests.server_process import NO_TLS

CREATE = """
mutation CreateArtifact($input: CreateArtifactInput!) {
  createArtifact(input: $input) { artifact { id state } }
}
"""
CREATE_FILES = """
mutation CreateArtifactFiles($input: CreateArtifactFilesInput!) {
  createArtifactFiles(input: $input) { files { edges { node { uploadUrl } } } }
}
"""
CREATE_MANIFEST = """
mutation CreateArtifactManifest($input: CreateArtifactManifestInput!) {
  createArtifactManifest(input: $input) { artifactManifest { id file { uploadUrl } } }
}
"""
COMMIT = """
mutation CommitArtifact($artifactID: ID!) {
  commitArtifact(input: {artifactID: $artifactID}) { artifact { id state versionIndex } }
}
"""


def md5_base64(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content).digest()).decode()


def digest_of(contents: Mapping[str, Mapping[str, Any]]) -> str:
    digest = hashlib.md5(b"wandb-artifact-manifest-v1\n")
    for name, entry in sorted(contents.items()):
        digest.update(f"{name}:{entry['digest']}\n".encode())
    return digest.hexdigest()


class ArtifactUnderWay:
    """A version between its creation and its commit."""

    def __init__(
        self,
        run: LoggedRun,
        name: str,
        files: Mapping[str, bytes],
        *,
        refs: Mapping[str, Mapping[str, Any]] | None = None,
        aliases: Sequence[str] = ("latest",),
        kind: str = "dataset",
    ) -> None:
        self.files = files
        self._run = run
        self._entity, self._project, self._run_id = run.path.split("/")
        self.contents: dict[str, dict[str, Any]] = {
            file: {"digest": md5_base64(content), "size": len(content)}
            for file, content in files.items()
        } | {file: dict(entry) for file, entry in (refs or {}).items()}
        answer = self.mutate(
            CREATE,
            input={
                "entityName": self._entity,
                "projectName": self._project,
                "runName": self._run_id,
                "artifactTypeName": kind,
                "artifactCollectionName": name,
                "digest": digest_of(self.contents),
                "digestAlgorithm": "MANIFEST_MD5",
                "enableDigestDeduplication": True,
                "aliases": [{"artifactCollectionName": name, "alias": a} for a in aliases],
            },
        )
        if "errors" in answer:
            raise RuntimeError(answer["errors"][0]["message"])
        artifact = answer["data"]["createArtifact"]["artifact"]
        self.id, self.state = artifact["id"], artifact["state"]

    def mutate(self, document: str, **variables: Any) -> Any:
        return self._run.graphql(document, variables)

    def announce(self) -> Any:
        """Announce the files; return the answer."""
        files = [
            {"artifactID": self.id, "name": name, "md5": self.contents[name]["digest"]}
            for name in self.files
        ]
        return self.mutate(CREATE_FILES, input={"artifactFiles": files, "storageLayout": "V2"})

    def upload_urls(self) -> dict[str, str | None]:
        """Announce the files; return the upload URL of each, None if its content is known."""
        edges = self.announce()["data"]["createArtifactFiles"]["files"]["edges"]
        return {n: e["node"]["uploadUrl"] for n, e in zip(self.files, edges, strict=True)}

    def upload(self) -> ArtifactUnderWay:
        for name, url in self.upload_urls().items():
            if url is not None:
                assert httpx.put(url, verify=NO_TLS, content=self.files[name]).is_success
        return self

    def put_manifest(self) -> ArtifactUnderWay:
        document = {
            "version": 1,
            "storagePolicy": "wandb-storage-policy-v1",
            "storagePolicyConfig": {"storageLayout": "V2"},
            "contents": self.contents,
        }
        manifest = json.dumps(document).encode()
        answer = self.mutate(
            CREATE_MANIFEST,
            input={
                "artifactID": self.id,
                "name": "wandb_manifest.json",
                "digest": md5_base64(manifest),
                "entityName": self._entity,
                "projectName": self._project,
                "runName": self._run_id,
                "type": "FULL",
            },
        )
        url = answer["data"]["createArtifactManifest"]["artifactManifest"]["file"]["uploadUrl"]
        assert httpx.put(url, verify=NO_TLS, content=manifest).is_success
        return self

    def commit(self) -> Any:
        """Commit; return the answer."""
        return self.mutate(COMMIT, artifactID=self.id)


def log_artifact(run: LoggedRun, name: str, files: Mapping[str, bytes], **options: Any) -> str:
    """Log a version and return its id."""
    artifact = ArtifactUnderWay(run, name, files, **options)
    if artifact.state != "COMMITTED":
        answer = artifact.upload().put_manifest().commit()
        assert answer["data"]["commitArtifact"]["artifact"]["state"] == "COMMITTED", answer
    return str(artifact.id)
