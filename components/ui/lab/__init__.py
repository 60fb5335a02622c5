"""The lab's page: settings compared side by side, grids over two of them, and the sheets that come of it."""
