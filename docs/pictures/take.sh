#!/bin/sh
# Takes the pictures of the README anew: `make demo` first, then `sh docs/pictures/take.sh`. Needs Debian's chromium.
# Starts Dagster's UI on a free port of this machine with the demo's history, and ends it again.
set -eu
cd "$(dirname "$0")/../.."
port=${PORT:-3939}
bin=${BIN:-.venv/bin}
profile=$(mktemp -d)
DAGSTER_HOME=${DAGSTER_HOME:-$PWD/.dagster}
export DAGSTER_HOME PYTHONWARNINGS=ignore
"$bin/dagster-webserver" -w workspace.yaml -h 127.0.0.1 -p "$port" --read-only >"$profile/webserver.log" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null; wait "$server" 2>/dev/null; rm -rf "$profile"' EXIT
for _ in $(seq 90); do
    "$bin/python" -c "import urllib.request as u; u.urlopen('http://127.0.0.1:$port/server_info', timeout=2)" 2>/dev/null && break
    sleep 1
done

picture() { # NAME PATH HEIGHT
    chromium --headless=new --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$profile/chromium" \
        --window-size="1600,$3" --virtual-time-budget=30000 --screenshot="docs/pictures/$1.png" \
        "http://127.0.0.1:$port$2" >"$profile/chromium.log" 2>&1
    echo "docs/pictures/$1.png"
}

# The run that failed, and the night whose plan waited: asked of Dagster's own storage.
run() { "$bin/python" -c "
import dagster as dg
with dg.DagsterInstance.get() as instance:
    runs = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]), limit=1)
    print(runs[0].run_id if runs else '')"; }

picture overview "/overview/activity/timeline" 620
picture plan "/assets/disposition_plan?view=overview" 1300
picture totals "/assets/nightly_totals?view=overview" 1500
picture plots "/assets/nightly_totals?view=plots" 1500
picture partitions "/assets/purged_calls?view=partitions" 900
picture brake "/assets/disposition_plan?view=checks&checkDetail=brake_not_tripped" 900
picture policy "/assets/retention_schedules/finance" 1150
picture map "/asset-groups" 900
failed=$(run)
[ -z "$failed" ] || picture failed "/runs/$failed" 900
