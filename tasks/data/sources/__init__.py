"""Where real rows come from, a kind of source each."""
