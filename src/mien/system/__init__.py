"""What any long-running program needs: locks, private files, processes, logs, the machine; it knows no settings."""
