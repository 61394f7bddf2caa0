"""The commands, one module a subject. Each module is imported when one of its commands is used."""
