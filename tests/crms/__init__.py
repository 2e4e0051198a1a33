"""Nights on CRMs of real shapes, each on the server it runs on, held against what SQL says."""
