"""Readers of the reports that vendors' tools leave in a project. Knows no model and no report of ours."""
