"""From frames to observations: sources, faces, tracks, emotions. No network beyond streams, no disk beyond inputs."""
