"""How each kind of job is carried out in a cell: its processes, its clock, what came of it."""
