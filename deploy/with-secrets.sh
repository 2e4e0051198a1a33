#!/bin/sh
# Dagster takes its storage's URL from the environment only; a secret comes as a file. Reads one into the other.
set -eu
if [ -n "${DAGSTER_POSTGRES_URL_FILE:-}" ]; then
    DAGSTER_POSTGRES_URL=$(cat "$DAGSTER_POSTGRES_URL_FILE")
    export DAGSTER_POSTGRES_URL
fi
exec "$@"
