"""The documentation inside the dashboard: the pages of `docs/`, filled and drawn without a network."""
