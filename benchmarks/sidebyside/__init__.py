"""Other clients beside the daemon, in one run and on the same frames."""
