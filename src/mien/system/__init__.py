"""What any long-running program needs: locks, files, processes, logs, plug-ins, retries; it knows no settings."""
