"""SQL-v0: ``domains`` and ``database`` make the data, ``questions`` ask, ``runner`` runs, ``table`` compares."""
