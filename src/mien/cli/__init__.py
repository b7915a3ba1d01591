"""The command line: a thin module for each group of commands; here alone an error becomes an exit code."""
