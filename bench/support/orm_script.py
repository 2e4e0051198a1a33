"""What people write: pandas to Parquet, then the ORM deletes. It verifies nothing. Usage: orm_script.py URL FOLDER."""

import sys
from pathlib import Path

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.ext.automap import automap_base
from sqlalchemy.orm import Session

AT_ONCE = 900


def main(url: str, folder: Path) -> None:
    """Copy the due calls and their rows, then delete them."""
    engine = sa.create_engine(url)
    mapped = automap_base()
    mapped.prepare(engine)
    calls, contacts, notes, files = (mapped.classes[name] for name in ("calls", "call_contacts", "notes", "note_files"))
    with Session(engine) as session:
        due = list(session.scalars(sa.select(calls.id).where(calls.ended_at < sa.text("'2022-01-01'"))))
        for start in range(0, len(due), AT_ONCE):
            some = due[start : start + AT_ONCE]
            of_some = sa.select(notes.id).where(notes.parent_type == "Calls", notes.parent_id.in_(some))
            noted = list(session.scalars(of_some))
            wanted = [
                (files, files.note_id.in_(noted)),
                (notes, notes.id.in_(noted)),
                (contacts, contacts.call_id.in_(some)),
                (calls, calls.id.in_(some)),
            ]
            for table, condition in wanted:
                frame = pd.read_sql(sa.select(table.__table__).where(condition), session.connection())
                frame.to_parquet(folder / f"{table.__table__.name}-{start}.parquet")
            for table, condition in wanted:
                session.execute(sa.delete(table).where(condition).execution_options(synchronize_session=False))
            session.commit()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
