"""What runs inside a service: it never raises into the host, never waits for a disk, and counts what it loses."""
