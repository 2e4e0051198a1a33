"""The first evening with a CRM: its settings in a file, and the grants for whoever administers its database."""

import os
from datetime import date
from pathlib import Path

from lifecycle.crm.control.role_grants import grant_statements, restore_grant_statements, role_statements
from lifecycle.crm.database import open_database
from lifecycle.crm.mapping.source import read_source
from lifecycle.errors import SettingsError
from lifecycle.settings import Settings

ROLE, RESTORE_ROLE = "lifecycle", "lifecycle_restore"
_LACKING = "-- Some sites lack some of these tables: psql and `mariadb --force` go on after those.\n"


def write_settings(folder: Path, crm: str, url: str, first_night: date) -> Path:
    """Write `.env` with the CRM's mapping and URL, for its owner alone. Raises SettingsError where it says another.

    A file that is there is left as it is, and need not name the first night. Where the shipped mapping cannot know all
    of it, the settings name a mapping of the site's own, which is begun here.
    """
    named = _site_mapping(folder, crm).name if read_source(crm).site_must_say else crm
    file, lines = folder / ".env", [f"LIFECYCLE_SOURCE={named}", f"LIFECYCLE_CRM_URL='{url}'"]
    try:
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        said = file.read_text("utf-8").splitlines()
        missing = [line.partition("=")[0] for line in lines if line not in said]
        if missing:
            raise SettingsError(
                f"{file}: it is there and says another {missing[0]}. Edit it, or move it away"
            ) from None
        return file
    with os.fdopen(opened, "w", encoding="utf-8") as out:
        store = [] if crm == "demo" else [_TRIAL, f"LIFECYCLE_STORE={(folder / 'archive').absolute().as_uri()}"]
        out.write("".join(f"{line}\n" for line in [*lines, f"LIFECYCLE_FIRST_NIGHT={first_night}", *store]))
    return file


_TRIAL = "# A folder, to try things out; before the first real night name a bucket: s3://…"


def _site_mapping(folder: Path, crm: str) -> Path:
    """The mapping that extends a shipped one by what a site must say, with gaps to fill; made where there is none."""
    file = folder / f"{crm}.yaml"
    if not file.exists():
        asked = "".join(f'# {why}\n{key}: ""\n' for key, why in read_source(crm).site_must_say.items())
        head = f"# What only you know of this site; docs/crms/{crm}.md has more.\nextends: {crm}\n"
        file.write_text(f"{head}{asked}", "utf-8")
    return file


def require_filled(folder: Path, crm: str) -> None:
    """Raise SettingsError while the site's own mapping is as it was begun."""
    file, asked = folder / f"{crm}.yaml", read_source(crm).site_must_say
    empty = [key for key in asked if f'\n{key}: ""\n' in file.read_text("utf-8")] if asked else []
    if empty:
        known = ", ".join(empty)
        raise SettingsError(f"{file}: nobody but you knows {known}. Fill it in, then run the same command again")


def grants_as_sql(crm: str, url: str | None) -> str:
    """The statements that make the role and give it what a night needs, to be read and run by an administrator.

    Without a URL they are for the first kind of database that the mapping is for, and a database named `crm`.
    """
    source = read_source(crm)
    opened = open_database(url) if url else None
    dialect = opened.dialect if opened else source.dialects[0]
    database = str(opened.engine.url.database) if opened else "crm"
    role = f"'{ROLE}'@'%'" if dialect == "mysql" else ROLE
    made, granted = role_statements(dialect, role), grant_statements(source, dialect, database, role)
    texts = [f"{statement};\n" for statement in made]
    texts += [_LACKING] if any(child.optional for part in source.parts() for child in part.chain) else []
    return "".join([*texts, *(f"{statement};\n" for statement in granted)])


def restore_grants_as_sql(settings: Settings) -> str:
    """The same for the role of a restore, LIFECYCLE_RESTORE_URL, on the CRM of these settings."""
    source, database = read_source(settings.source), open_database(settings.crm_url.get_secret_value())
    role = f"'{RESTORE_ROLE}'@'%'" if database.dialect == "mysql" else RESTORE_ROLE
    named = str(database.engine.url.database)
    granted = restore_grant_statements(source, database.dialect, named, role)
    statements = [*role_statements(database.dialect, role), *granted]
    return "".join(f"{statement};\n" for statement in statements)
