"""What several tests share: recordings, servers, a running daemon."""
