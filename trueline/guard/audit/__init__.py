"""What the gateway decided, on the record: journal first, hash-chained in the database, and able to be replayed."""
