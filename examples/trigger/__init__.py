"""Trigger: jets tagged and anomalies found within a microsecond."""
