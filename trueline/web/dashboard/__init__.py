"""The dashboard: what was trained, attacked, found, guarded and watched, read from the store and from run folders."""
