"""A site's own words over a shipped mapping, and a mapping fitted to what a site has."""

import re
from pathlib import Path

import pytest

from lifecycle.crm.database import open_database
from lifecycle.crm.mapping.site_fit import fit_source
from lifecycle.crm.mapping.source import read_source, shipped_sources
from lifecycle.errors import SourceError


def own(tmp_path, text):
    (tmp_path / "own.yaml").write_text(text)
    return read_source(str(tmp_path / "own.yaml"))


def test_every_shipped_mapping_reads():
    assert [read_source(name).source for name in shipped_sources()] == shipped_sources()


def test_the_table_of_the_documentation_says_of_each_how_many_tables_it_maps_and_by_what_a_hold_reaches_its_calls():
    page = (Path(__file__).resolve().parents[3] / "docs/crms/README.md").read_text("utf-8")
    told = {}
    for line in page.split("## The first evening")[0].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if named := re.match(r"\[\w+.*?\]\(([\w-]+)\.md\)|`(demo)`", cells[0]):
            told[named[1] or named[2]] = (int(cells[1].split()[0]), {*cells[4].split(", ")})
    mapped = {}
    for name in shipped_sources():
        source = read_source(name)
        given = {fact for fact in ("account_id", "phone", "agent_id") if f"AS {fact}" in source.facts}
        reached = {fact.removesuffix("_id") for fact in {*source.links, *given}}
        mapped[name] = (len({part.table for part in source.parts()}), reached)
    assert told == mapped


def test_a_site_replaces_plain_values_and_adds_to_lists_and_maps(tmp_path):
    shipped = read_source("fusionpbx")
    mine = own(
        tmp_path,
        "extends: fusionpbx\nsource: berlin\nindustry: {by: account_id, values: {a: Banking}}\n"
        "children: [{table: addon, match: {xml_cdr_uuid: xml_cdr_uuid}}]\n",
    )
    assert (mine.source, mine.facts, mine.call) == ("berlin", shipped.facts, shipped.call)
    assert [child.table for child in mine.children] == [*(child.table for child in shipped.children), "addon"]
    assert mine.industry is not None
    assert mine.industry.by == "account_id"


def test_extending_what_does_not_ship_is_refused_with_the_line(tmp_path):
    with pytest.raises(
        SourceError, match=r"own\.yaml:1: extends: expected one of .*; found 'mine'|own\.yaml:1: expected"
    ):
        own(tmp_path, "extends: mine\nsource: x\n")


MAPPING = """source: m
dialects: [sqlite, postgresql, mysql]
timezone: UTC
facts: SELECT id AS call_id, tenant AS account_id FROM {{call}}
industry: {industry}
call: {{table: call, key: id, where: {{kind: {{select: "SELECT value FROM kinds WHERE name = 'phone: call'"}}}}}}
children:
  - {{table: notes, match: {{call_id: id}}, optional: true}}
  - {{table: marks, match: {{call_id: id}}, optional: true}}
"""


def prepared(made):
    return made.run(
        f"CREATE TABLE {made.engine.dialect.identifier_preparer.quote_identifier('call')} "
        "(id INTEGER PRIMARY KEY, kind INTEGER, tenant VARCHAR(20))",
        "CREATE TABLE kinds (name VARCHAR(20), value INTEGER)",
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, call_id INTEGER)",
        "CREATE TABLE marks (id INTEGER PRIMARY KEY, other INTEGER)",
    )


def test_a_mapping_is_fitted_to_what_the_site_has(made, tmp_path):
    prepared(made).run("INSERT INTO kinds VALUES ('phone: call', 4)")
    source = own(tmp_path, MAPPING.format(industry='{by: account_id, values: {"o\'neil": Retail, b: Banking}}'))
    database = open_database(made.url)
    fitted = fit_source(database, source)
    assert [child.table for child in fitted.children] == ["notes"]
    assert [test.values for tests in fitted.call.where.alternatives for test in tests] == [(4,)]
    made.run(f"INSERT INTO {quoted(made)} VALUES (1, 4, 'o''neil'), (2, 4, 'b'), (3, 4, NULL), (4, 4, 'c')")
    assert made.rows(f"SELECT call_id, industry FROM ({fitted.facts}) f ORDER BY 1") == [
        (1, "Retail"),
        (2, "Banking"),
        (3, None),
        (4, "no industry said for c"),
    ]


def quoted(made):
    return made.engine.dialect.identifier_preparer.quote_identifier("call")


def test_one_industry_for_all_is_a_constant(made, tmp_path):
    prepared(made).run("INSERT INTO kinds VALUES ('phone: call', 4)", f"INSERT INTO {quoted(made)} VALUES (1, 4, 'x')")
    fitted = fit_source(open_database(made.url), own(tmp_path, MAPPING.format(industry="Charity's")))
    assert made.rows(f"SELECT industry FROM ({fitted.facts}) f") == [("Charity's",)]


def test_a_condition_that_the_crm_gives_no_value_for_is_an_error(made, tmp_path):
    source = own(tmp_path, MAPPING.format(industry="Retail"))
    with pytest.raises(SourceError, match="expected values, found none by SELECT value FROM kinds"):
        fit_source(open_database(prepared(made).url), source)


def test_what_only_the_site_knows_must_be_said(make, tmp_path):
    database = open_database(make("postgresql").url)
    said = "extends: asterisk\nindustry: Retail\n"
    with pytest.raises(
        SourceError, match=r"(?s)source asterisk: .*extends: asterisk\n  timezone: …   # the zone of"
    ) as error:
        fit_source(database, own(tmp_path, said))
    assert "industry" not in str(error.value).partition("LIFECYCLE_SOURCE")[2]
    assert fit_source(database, own(tmp_path, f"{said}timezone: Europe/Berlin\n")).timezone.key == "Europe/Berlin"


def test_a_time_so_many_seconds_later_is_written_as_the_database_writes_it(made, tmp_path):
    made.run("CREATE TABLE t (id INTEGER PRIMARY KEY, began TIMESTAMP NULL, took INTEGER)")
    made.run("INSERT INTO t VALUES (1, '2020-01-01 23:59:00', 90)")
    facts = "SELECT id AS call_id, 'x' AS industry, {seconds_after(t.began, t.took)} AS ended_at FROM t"
    crm = made.crm(facts=facts)
    with crm.database.reading() as connection:
        assert [str(found)[:19] for found in crm.facts.of(connection, [1])["ended_at"].to_pylist()] == [
            "2020-01-02 00:00:30"
        ]


def test_an_absent_fact_is_no_of_every_call_on_every_server(made):
    prepared(made).run("INSERT INTO kinds VALUES ('phone: call', 2)")
    name = made.engine.dialect.identifier_preparer.quote_identifier("call")
    made.run(f"INSERT INTO {name} VALUES (1, 2, 'a')")
    crm = made.crm(
        table="call", facts=f"SELECT id AS call_id FROM {name};", more="industry: shop\nabsent: {open_deal: no}"
    )
    with crm.database.reading() as connection:
        (row,) = crm.facts.of(connection, [1]).select(["call_id", "industry", "open_deal"]).to_pylist()
    assert row == {"call_id": 1, "industry": "shop", "open_deal": False}
