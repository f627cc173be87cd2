"""Jobs over parts: in this process, in several, or on the nodes of a Ray cluster, with the same results."""
