"""From words with places to text in the order in which people read it. Pure geometry: nothing here knows of PDF."""
