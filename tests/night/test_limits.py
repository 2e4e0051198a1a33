"""Memory follows the batch, not the number of calls."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders import BANK, SHOP

NIGHT = """
import resource, sys
from datetime import UTC, date, datetime
from pathlib import Path
from lifecycle.settings import Settings
from lifecycle.deployment.lifecycle import Lifecycle, Run
from lifecycle.night import archive, destroy_batches
from lifecycle.night.industry_night import open_industry_night
from lifecycle.night.plan import plan_night

folder = Path(sys.argv[1])
destroy_batches.BATCH_CALLS = 1000
given = {"crm_url": f"sqlite:///{folder / 'crm.db'}", "store": (folder / "store").as_uri()}
given["policies"] = folder / "policies"
lifecycle = Lifecycle(Settings(**given), lambda: datetime(2026, 11, 21, tzinfo=UTC))
_, plans = plan_night(lifecycle, date(2026, 11, 20), Run("r", "t"))
done = 0
for industry, plan in plans.items():
    work = open_industry_night(lifecycle, industry, plan.night)
    done += archive.archive_night(lifecycle, work, Run("r", "t")).calls if plan.due else 0
print(done, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""

FILL = """
import sys
import sqlalchemy as sa
from lifecycle.crm.control.control_tables import ControlTables
from lifecycle.crm.database import open_database
from lifecycle.crm.sample import demo_schema
url, count = sys.argv[1], int(sys.argv[2])
engine = sa.create_engine(url)
demo_schema.create_schema(engine)
ControlTables(open_database(url)).create()
with engine.begin() as connection:
    connection.exec_driver_sql("INSERT INTO accounts (id, name, status) VALUES (1, 'n', 'active')")
    connection.exec_driver_sql("INSERT INTO account_industries VALUES (1, 'Banking')")
    # One call in ten is due: spread over ten months, which makes ten groups of batches.
    connection.exec_driver_sql(f\"\"\"
        WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {count} - 1)
        INSERT INTO calls (id, account_id, direction, record_class, subject, started_at, ended_at, deleted)
        SELECT 'call-' || i, 1, 'in', 'order', 'subject ' || i, d, d, 0 FROM (
            SELECT i, CASE WHEN i % 10 = 0 THEN printf('2020-%02d-01 10:00:00.000000', 1 + i / 10 % 10)
                      ELSE '2025-01-01 10:00:00.000000' END AS d FROM n)\"\"\")
"""


def peak(folder: Path, calls: int) -> tuple[int, int]:
    """How many calls a night archived, and the most MiB it held."""
    (folder / "policies" / "holds").mkdir(parents=True)
    (folder / "policies" / "bank.yaml").write_text(BANK)
    (folder / "policies" / "shop.yaml").write_text(SHOP)
    database = f"sqlite:///{folder / 'crm.db'}"
    subprocess.run([sys.executable, "-c", FILL, database, str(calls)], check=True)
    said = subprocess.run([sys.executable, "-c", NIGHT, str(folder)], check=True, capture_output=True, text=True)
    done, memory = said.stdout.split()
    return int(done), int(memory)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_calls(tmp_path):
    few, many = peak(tmp_path / "few", 20_000), peak(tmp_path / "many", 400_000)
    assert (few[0], many[0]) == (2_000, 40_000)
    assert many[1] - few[1] < 120, f"{few[1]} MiB for 20,000 calls, {many[1]} MiB for 400,000"
