#!/bin/sh
# Dagster and Celery take URLs with a password from the environment only; a secret comes as a file. Reads the one into
# the other: NAME_FILE names the file of NAME.
set -eu
for name in DAGSTER_POSTGRES_URL CELERY_BROKER_URL CELERY_RESULT_BACKEND; do
    eval "file=\${${name}_FILE:-}"
    if [ -n "$file" ]; then
        value=$(cat "$file")
        export "$name=$value"
    fi
done
exec "$@"
