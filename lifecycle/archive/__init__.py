"""The object store: batches of Parquet with a manifest, plans and approvals, files; a folder or an S3 bucket.

For every room that keeps a copy. The only place that knows boto3 and Parquet; knows no database and no policy.
"""
