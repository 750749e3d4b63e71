"""The charger's energy meter, its measurands, and the current that the house leaves for the
car."""
