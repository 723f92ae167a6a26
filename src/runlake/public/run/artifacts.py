"""The artifacts of a run, and the tables that it logged."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from runlake.backend.graphql import artifact_documents as documents
from runlake.backend.graphql.query import mutate
from runlake.errors import InvalidArgument, InvalidType
from runlake.public.run.fields import RunFields

if TYPE_CHECKING:
    import polars as pl

    from runlake.public.artifacts.artifacts import Artifact
    from runlake.public.artifacts.lists import ArtifactsOfRun


class RunArtifacts(RunFields):
    """Methods of a run that list, link and read its artifacts and tables."""

    def logged_artifacts(self, per_page: int = 100) -> ArtifactsOfRun:
        """List the artifacts that the run logged, in the order of logging.

        Parameters
        ----------
        per_page : int
            Artifacts per request.

        Returns
        -------
        ArtifactsOfRun
            The artifacts, fetched page by page as they are accessed; ``len()`` counts all of them.
        """
        return self._artifacts("logged", per_page)

    def used_artifacts(self, per_page: int = 100) -> ArtifactsOfRun:
        """List the artifacts that the run used; see `logged_artifacts` for arguments and result."""
        return self._artifacts("used", per_page)

    def _artifacts(self, mode: str, per_page: int) -> ArtifactsOfRun:
        from runlake.public.artifacts.lists import ArtifactsOfRun

        return ArtifactsOfRun(self._client, self._path, mode, per_page)

    def use_artifact(self, artifact: Artifact, use_as: str | None = None) -> Artifact:
        """Declare an artifact as an input of the run.

        Parameters
        ----------
        artifact : Artifact
            The artifact, as returned by `Api.artifact`.
        use_as : str, optional
            The role of the artifact in the run; the artifact's name if omitted.

        Returns
        -------
        Artifact
            The object that was passed.

        Raises
        ------
        InvalidArgument
            If the argument is not an `Artifact`, or not committed yet; this is checked before any
            request.
        """
        _check_artifact(artifact, "use_artifact")
        variables = {
            "entityName": self.entity,
            "projectName": self.project,
            "runName": self.id,
            "artifactID": artifact.id,
            "usedAs": use_as or artifact.name,
        }
        mutate(self._client, documents.USE_ARTIFACT, variables, is_idempotent=True)
        return artifact

    def log_artifact(
        self,
        artifact: Artifact,
        aliases: Collection[str] | None = None,
        tags: Collection[str] | None = None,
    ) -> Artifact:
        """Declare an artifact as an output of the run.

        Parameters
        ----------
        artifact : Artifact
            The artifact, as returned by `Api.artifact`. It must be of the run's own project.
        aliases : list of str, optional
            Aliases to add to the version.
        tags : list of str, optional
            Tags to add to the version.

        Returns
        -------
        Artifact
            The object that was passed. It does not show the new aliases; to see them, fetch the
            artifact again.

        Raises
        ------
        InvalidArgument
            If the argument is not an `Artifact`, not committed yet, or of another project; this is
            checked before any request.
        """
        from runlake.public.artifacts.values import check_names

        _check_artifact(artifact, "log_artifact")
        if (self.entity, self.project) != (artifact.source_entity, artifact.source_project):
            raise InvalidArgument(
                "A run can't log an artifact to a different project: the run is in "
                f"'{self.entity}/{self.project}', the artifact is "
                f"'{artifact.source_qualified_name}'."
            )
        collection = artifact.source_name.partition(":")[0]
        variables = {
            "artifactTypeName": artifact.type,
            "artifactCollectionNames": [collection],
            "entityName": self.entity,
            "projectName": self.project,
            "runName": self.id,
            "digest": artifact.digest,
            "aliases": [
                {"artifactCollectionName": collection, "alias": alias}
                for alias in check_names(aliases or [], "aliases")
            ],
            "tags": [{"tagName": tag} for tag in check_names(tags or [], "tags")],
        }
        mutate(self._client, documents.LOG_ARTIFACT, variables, is_idempotent=True)
        return artifact

    def table(self, key: str, step: int | None = None) -> pl.DataFrame:
        """Read a table that was logged with ``wandb.Table``.

        Parameters
        ----------
        key : str
            The key under which the table was logged.
        step : int, optional
            The step at which the table was logged. If omitted, the last step that has the key
            is used.

        Returns
        -------
        polars.DataFrame
            The columns of the table. Media become structs that name their files, arrays become
            lists; a column of mixed types becomes JSON text, with one warning. An incremental
            table has the rows of all increments up to the step.

        Raises
        ------
        InvalidArgument
            If no table was logged under this key, or at this step.
        ArtifactNotFoundError, RunFileNotFoundError, FileTransferError
            If the table's file cannot be downloaded.
        """
        from runlake.history.tables import read_table

        return read_table(self._client, self._path, key, step, self.summary_metrics)


def _check_artifact(artifact: object, method: str) -> None:
    from runlake.public.artifacts.artifacts import Artifact

    if not isinstance(artifact, Artifact):
        raise InvalidType(
            f"You must pass a runlake.Api().artifact() to {method}, not {artifact!r}."
        )
    if artifact.is_draft():
        raise InvalidArgument(
            "Only existing artifacts are accepted by this api. Manually create one with "
            "`wandb artifact put`."
        )
