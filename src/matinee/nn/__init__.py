"""Parts that networks share. Imported only by models that need torch."""
