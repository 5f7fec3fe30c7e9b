"""Results as tables: the plain ones that `steadyface score` prints, and those of the paper."""
