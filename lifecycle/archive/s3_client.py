"""The boto3 client of an S3 store: how patient it is, and which checks it leaves to us."""

from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from lifecycle.errors import SettingsError

# Three attempts of five seconds, and the pauses between them: a dead store is reported within twenty seconds.
_PATIENCE = {"connect_timeout": 3, "read_timeout": 5, "retries": {"mode": "standard", "total_max_attempts": 3}}


def connect(endpoint: str | None) -> Any:
    """A boto3 client with bounded patience. Credentials and region come from boto3's own chain."""
    config = Config(
        s3={"addressing_style": "path" if endpoint else "auto"},
        max_pool_connections=32,
        # We send SHA-256 ourselves, and compare it ourselves: a reader must be shown damaged bytes to judge them.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        **_PATIENCE,
    )
    try:
        session = boto3.Session()
        region = session.region_name or ("us-east-1" if endpoint else None)
        return session.client("s3", endpoint_url=endpoint, region_name=region, config=config)
    except (BotoCoreError, ValueError) as error:
        raise SettingsError(f"S3 client: expected a usable endpoint, profile and region, found: {error}") from error
