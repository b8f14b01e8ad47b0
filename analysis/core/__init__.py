"""The ground floor: clips, grids of cells, maps, target scores, statistics, files."""
