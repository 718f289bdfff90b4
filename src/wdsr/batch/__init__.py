"""Many files: what becomes what (`plan`), doing it (`run`), remembering it (`manifest`)."""
