"""Device families, parts and boards, as data."""
