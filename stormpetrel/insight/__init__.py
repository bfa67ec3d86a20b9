"""The insight report: the course of an attack and the harm it did, from the journal and the record of attacks."""
