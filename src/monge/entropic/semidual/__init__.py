"""Transport of a measure that is seen by samples: onto atoms by the semi-dual, or onto another such measure."""
