"""Options for object storage from environment variables, by their names in polars and obstore."""

from __future__ import annotations

from runlake.settings.environment import variable

# The libraries read other variables themselves, for example those for roles of cloud machines.
OF_S3 = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_SKIP_SIGNATURE",
)


def storage_options(scheme: str) -> dict[str, str]:
    """Return the options for object storage that environment variables set, by name.

    Parameters
    ----------
    scheme : str
        Scheme of the storage's URL, such as ``s3``. The result is empty for a scheme that is not
        one of S3's.

    Returns
    -------
    dict of str to str
        The options. If an endpoint is set, but no region, the region is ``us-east-1``.
    """
    if scheme.lower() not in {"s3", "s3a"}:
        return {}
    found = {name.lower(): value for name in OF_S3 if (value := variable(name)) is not None}
    endpoint = found.pop("aws_endpoint_url_s3", None) or found.get("aws_endpoint_url")
    region = found.pop("aws_default_region", None)
    if endpoint is not None:
        found["aws_endpoint_url"] = endpoint
        # A self-hosted server has no regions, but a signature must name one.
        region = region or "us-east-1"
    if region is not None:
        found.setdefault("aws_region", region)
    return found
