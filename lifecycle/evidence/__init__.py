"""What proves a deletion: manifests, deletion records, leaves, the Merkle tree, signed notes, certificates.

For auditors, and for people with other tools: formats of RFC 6962 and C2SP. Pure; values and bytes only.
"""
