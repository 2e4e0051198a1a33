"""A sample CRM to try the product on: the demo's tables, made-up calls, a public file of real bank calls.

For `lifecycle demo`, `import-calls` and the tests. Never touches a CRM that holds anything else.
"""
