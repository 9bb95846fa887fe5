"""Does a frozen table of meaningless codes suffice? A small experiment; plan.md says how it is judged."""
