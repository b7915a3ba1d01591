"""Work that uses several parts at once: all of them on one machine, many files, the demo, and a look at the machine."""
