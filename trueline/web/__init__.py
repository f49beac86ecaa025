"""What people and their tools meet over HTTP."""
