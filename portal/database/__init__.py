"""The database backend of the desk: Django's for PostgreSQL with a quicker look at sessions."""
