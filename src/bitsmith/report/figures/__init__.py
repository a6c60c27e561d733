"""Pictures of networks, numbers and reports."""
