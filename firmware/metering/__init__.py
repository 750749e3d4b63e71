"""The charger's energy meter, its measurands, and what the house leaves for the car."""
