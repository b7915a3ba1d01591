"""The way to the broker: connection, credentials, and the broker that comes with Mien."""
