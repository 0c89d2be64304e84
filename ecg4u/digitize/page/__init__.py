"""The page flattened: grid, lattice, local refinement, warp."""
