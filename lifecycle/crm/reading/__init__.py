"""Reading the CRM: facts for decisions, links for holds, whole rows for the archive, counts for reviews.

For the night, the review and the inquiry; Arrow tables come out. Writes nothing.
"""
