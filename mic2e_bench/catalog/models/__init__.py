"""Where weights come from: bundled, random at the published size, a hub id, or a local folder."""
