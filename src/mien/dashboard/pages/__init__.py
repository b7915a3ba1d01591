"""The pages of the dashboard: what they show, and how it stays up to date."""
