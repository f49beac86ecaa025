"""Where things are kept: run directories on disk (`runs`), and a database of what was made and found (`database`)."""
