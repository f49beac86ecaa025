"""From a finding to a fix: rows, a rail and a test, and the gate before anything is promoted."""
