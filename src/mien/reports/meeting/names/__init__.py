"""Who is who in a recording of a meeting: what its picture shows of names, tiles, the speaker's frame and the clock."""
