"""What lies outside Dagster and is drawn on its map: the CRM's tables of calls upstream, the bucket downstream."""

from typing import Any
from urllib.parse import urlsplit

import dagster as dg

from assets.location import asset_key
from lifecycle.settings import read_settings

_SETTINGS = read_settings()
_KINDS = {"postgresql": "postgres", "mysql": "mysql", "mariadb": "mysql", "sqlite": "sqlite"}
CRM_KIND = _KINDS.get(_SETTINGS.crm_url.get_secret_value().partition(":")[0].partition("+")[0], "sql")
STORE_KIND = "s3" if urlsplit(_SETTINGS.store).scheme == "s3" else "file"


def commit_link(commit: str) -> Any:
    """A commit of the policies: a link where LIFECYCLE_POLICIES_LINK says where commits are shown, else its name."""
    link = _SETTINGS.policies_link
    return dg.MetadataValue.url(link.replace("{commit}", commit)) if link and commit.isalnum() else commit


RECORDS_IN_CRM = dg.AssetSpec(
    asset_key("crm", "calls"),
    group_name="crm",
    kinds={CRM_KIND},
    owners=["team:crm"],
    description="The CRM's calls, with every row that the source mapping says belongs to one. Read by the plan, copied "
    "by `archived_calls`, and the only place that `purged_calls` deletes from.",
    metadata={"mapping": _SETTINGS.source},
)
ARCHIVE = dg.AssetSpec(
    asset_key("bucket", "archive"),
    deps=[asset_key("archived_calls")],
    group_name="bucket",
    kinds={STORE_KIND, "parquet"},
    owners=["team:records"],
    description="Parquet objects, one a table and batch, and a manifest with their digests. After a purge, the copy.",
    metadata={"store": f"{_SETTINGS.store}/archive"},
)
LEDGER = dg.AssetSpec(
    asset_key("bucket", "ledger"),
    deps=[asset_key("deletion_record")],
    group_name="bucket",
    kinds={STORE_KIND},
    owners=["team:records"],
    description="An append-only Merkle log with one leaf a purged call, under signed checkpoints that other people's "
    "tools verify (docs/verify-without-us.md).",
    metadata={"store": f"{_SETTINGS.store}/ledger"},
)
