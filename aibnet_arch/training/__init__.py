"""The progressive model class, its stages, and what happens around each iteration."""
