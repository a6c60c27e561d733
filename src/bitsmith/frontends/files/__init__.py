"""Readers of the formats that several frameworks use; whatever a file holds, they raise nothing but our own errors."""
