"""The insight report: what an attack was, whom it hurt and how, from the journal and the record of attacks."""
