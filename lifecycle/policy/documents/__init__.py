"""What a policy file may say: YAML read strictly into schedules, regimes, holds, and what makes one unlawful.

For whoever edits policies, and for their editors (JSON Schemas). Reads texts it is handed; opens no file.
"""
