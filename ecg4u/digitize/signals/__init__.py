"""From curves to millivolts, and whether they fit each other."""
