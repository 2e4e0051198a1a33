"""The source: one CRM database, its mapping, its facts and rows, the purge transaction and the control tables.

For every room that asks about live calls. The only place that knows SQLAlchemy and drivers; it writes in `purging`
and `control`, and in `sample` for a trial.
"""
