"""What the records of a slice say of its calls beside what was archived: a request to erase, an earlier restore."""

from dataclasses import dataclass, field

import pyarrow as pa

from lifecycle.evidence.deletion import call_id_text


@dataclass
class RecordFacts:
    """By call: the request that it was judged under (id, received_on), and when it was put back from the archive."""

    requests: dict[str, dict[str, str]] = field(default_factory=dict)
    restored: dict[str, str] = field(default_factory=dict)

    def clear(self) -> None:
        """Forget the slice before."""
        self.requests.clear()
        self.restored.clear()

    def add(self, facts: pa.Table) -> None:
        """Take note of what the facts of a slice say."""
        if "erasure_request" in facts.column_names:
            for row in facts.select(["call_id", "erasure_request", "erasure_requested_on"]).to_pylist():
                if row["erasure_request"] is not None:
                    received = row["erasure_requested_on"].isoformat()
                    self.requests[call_id_text(row["call_id"])] = {
                        "id": row["erasure_request"],
                        "received_on": received,
                    }
        if "restored_at" in facts.column_names:
            for row in facts.select(["call_id", "restored_at"]).to_pylist():
                if row["restored_at"] is not None:
                    self.restored[call_id_text(row["call_id"])] = row["restored_at"]
