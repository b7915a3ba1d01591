"""Whole folders and buckets of films into a folder of tables, on this machine or on a cluster."""
