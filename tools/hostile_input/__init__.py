"""Cases of tools/hostile_campaign.py, by what is hostile."""
